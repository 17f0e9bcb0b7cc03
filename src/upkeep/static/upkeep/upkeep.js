// What the pages do beside htmx: nothing while nobody looks, and a word for those who
// listen. All of it works without, too.
(function () {
  "use strict";

  var LIVE = "[data-live]";

  function isPoll(event) {
    var from = event.detail.elt;
    return from.matches(".live") && event.detail.requestConfig.verb === "get";
  }

  document.addEventListener("htmx:beforeRequest", function (event) {
    if (isPoll(event) && (document.hidden || !event.detail.elt.matches(LIVE))) {
      event.preventDefault();
    }
  });

  document.addEventListener("visibilitychange", function () {
    if (!document.hidden) {
      document.querySelectorAll(LIVE).forEach(function (part) {
        window.htmx.trigger(part, "look");
      });
    }
  });

  // Logged out, or no longer permitted: what is shown stays, and nobody asks again.
  document.addEventListener("htmx:responseError", function (event) {
    if (isPoll(event)) {
      event.detail.elt.removeAttribute("data-live");
    }
  });

  // A part that is exchanged every two seconds must not be read aloud each time; that
  // its status is another one must.
  var told = null;
  document.addEventListener("htmx:afterSettle", function () {
    var part = document.querySelector("[data-status]");
    var status = part && part.getAttribute("data-status");
    var place = document.getElementById("announcement");
    if (place && status !== told) {
      if (told !== null) {
        place.textContent = status;
      }
      told = status;
    }
  });
  document.addEventListener("DOMContentLoaded", function () {
    var part = document.querySelector("[data-status]");
    told = part ? part.getAttribute("data-status") : null;
  });
})();
