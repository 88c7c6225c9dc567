// The one polite live region of a page, and toasts (information only; a success leaves a lasting receipt).
const region = document.getElementById("announcer");

export function announce(text) {
  if (!region || !text) return;
  region.textContent = "";
  window.setTimeout(() => { region.textContent = text; }, 60);
}

export function toast(text) {
  let stack = document.querySelector(".toasts");
  if (!stack) {
    stack = document.createElement("div");
    stack.className = "toasts";
    document.body.append(stack);
  }
  const note = document.createElement("p");
  note.className = "toast";
  note.textContent = text;
  stack.append(note);
  announce(text);
  window.setTimeout(() => note.remove(), 6000);
}

/** A sentence of the page's language, kept on <body>; %n and %t stand for what is put in. */
export function say(name, value = "") {
  const text = document.body.dataset[`text${name[0].toUpperCase()}${name.slice(1)}`] || "";
  return text.replace(/%[nt]/, value);
}

const receipts = [...document.querySelectorAll("[data-announce]")].map((receipt) => receipt.textContent.trim());
announce(receipts.join(" "));
