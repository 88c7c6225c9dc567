// What every page does. Scripts add speed, never meaning: each page works without this file.
// The modules are imported from here only, so each exists once however its address is hashed.
import "./announce.js";
import "./age.js";
import "./keys.js";
import "./ime.js";
import "./hold.js";
import "./draft.js";
import "./forms.js";
import "./live.js";
