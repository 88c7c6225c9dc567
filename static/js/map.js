// The map is a view of the list: our own GeoJSON, no tiles, a canvas. The list holds everything it shows, so
// without this file nothing is lost. Networks drawn in plain units (not degrees) get a flat coordinate system.
const box = document.getElementById("map");
const L = window.L;

const read = (address) => fetch(address, { credentials: "same-origin" }).then((answer) => {
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
});

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const TONES = { red: "red", amber: "amber", blue: "blue", green: "green", violet: "violet", ink: "ink", quiet: "muted" };

const inDegrees = (points) => points.every(([x, y]) => Math.abs(x) <= 180 && Math.abs(y) <= 90);

// Shapes by kind, as in the list; the area grows with the square root of the customers.
const Shape = L && L.CircleMarker.extend({
  _updatePath() {
    const renderer = this._renderer;
    const ctx = renderer._ctx;
    if (!renderer._drawing || !ctx || this._empty()) return;
    const { x, y } = this._point;
    const r = Math.max(this._radius, 5);
    ctx.beginPath();
    const path = {
      p1: [[0, -1], [0.95, 0.75], [-0.95, 0.75]],
      p2: [[0, -1], [1, 0], [0, 1], [-1, 0]],
      planned: null,
      shedding: [[-0.9, -0.7], [0.9, -0.7], [0.9, 0.7], [-0.9, 0.7]],
      restored: null,
    }[this.options.shape];
    if (path) {
      path.forEach(([dx, dy], i) => (i ? ctx.lineTo(x + dx * r, y + dy * r) : ctx.moveTo(x + dx * r, y + dy * r)));
      ctx.closePath();
    } else {
      ctx.arc(x, y, r, 0, Math.PI * 2);
    }
    renderer._fillStroke(ctx, this);
  },
});

function marker(feature, latlng) {
  const { tone, shape, customers } = feature.properties;
  const own = colour(TONES[tone] || "ink");
  return new Shape(latlng, {
    radius: Math.min(34, 6 + Math.sqrt(customers || 0) / 2.2),
    shape,
    color: own,
    weight: 2,
    fillColor: own,
    fillOpacity: shape === "planned" || shape === "restored" ? 0.12 : 0.5,
    bubblingMouseEvents: false,
  });
}

function rowOf(reference) {
  return document.querySelector(`[data-reference="${CSS.escape(reference)}"]`);
}

async function draw() {
  const [network, outages] = await Promise.all([read(box.dataset.network).catch(() => null), read(box.dataset.map)]);
  const lines = network ? network.features.flatMap((feature) => feature.geometry.coordinates) : [];
  const points = [...lines.flat(), ...outages.features.map((feature) => feature.geometry.coordinates)];
  const flat = !inDegrees(points);
  box.textContent = "";
  const map = L.map(box, {
    crs: flat ? L.CRS.Simple : L.CRS.EPSG3857,
    preferCanvas: true,
    attributionControl: false,
    minZoom: flat ? -12 : 3,
    maxZoom: flat ? 8 : 19,
    zoomSnap: 0.25,
    keyboard: true,
  });
  const place = ([x, y]) => L.latLng(y, x);
  const grey = L.polyline(lines.map((line) => line.map(place)), { color: colour("line-strong"), weight: 1, opacity: 0.55, interactive: false }).addTo(map);
  let layer = null;
  const markers = new Map();

  function show(collection) {
    if (layer) layer.remove();
    markers.clear();
    layer = L.geoJSON(collection, {
      pointToLayer: marker,
      coordsToLatLng: place,
      onEachFeature(feature, shape) {
        const { reference, place: where, customers, label, status, url } = feature.properties;
        const text = document.createElement("span");
        text.textContent = `${reference} · ${label} · ${status} · ${where} · ${customers} ${box.dataset.textCustomers}`;
        shape.bindTooltip(text, { direction: "top", offset: [0, -6] });
        shape.on("click", () => {
          const row = rowOf(reference);
          const link = row && row.querySelector("a");
          if (link) { row.scrollIntoView({ block: "center" }); link.focus({ preventScroll: true }); } else { location.assign(url); }
        });
        shape.on("mouseover", () => { const row = rowOf(reference); if (row) row.setAttribute("aria-current", "true"); });
        shape.on("mouseout", () => { const row = rowOf(reference); if (row) row.removeAttribute("aria-current"); });
        markers.set(reference, shape);
      },
    }).addTo(map);
  }

  show(outages);
  const bounds = grey.getBounds();
  if (layer.getLayers().length) bounds.extend(layer.getBounds());
  if (bounds.isValid()) map.fitBounds(bounds, { padding: [24, 24], animate: false, maxZoom: flat ? 4 : 15 });
  else map.setView([0, 0], 3);

  // the list drives the map
  let lit = null;
  const light = (event) => {
    const row = event.target.closest && event.target.closest("[data-reference]");
    const next = row ? markers.get(row.dataset.reference) : null;
    if (next === lit) return;
    if (lit) { lit.setStyle({ weight: 2 }); lit.closeTooltip(); }
    lit = next || null;
    if (lit) {
      lit.setStyle({ weight: 5 }).bringToFront();
      lit.openTooltip();
      if (event.type === "focusin" && !map.getBounds().contains(lit.getLatLng())) map.panTo(lit.getLatLng());
    }
  };
  document.addEventListener("focusin", light);
  document.addEventListener("pointerover", light);
  document.body.addEventListener("live:board", () => read(box.dataset.map).then(show).catch(() => {}));
  box.dataset.ready = "true";
}

if (box && L) {
  draw().catch(() => { box.closest(".map-panel").hidden = true; });
}
