// How a live part asks for news: never while nobody looks, and no more once the server
// has refused. In a page of the project, too, so it touches nothing but our own parts.
(function () {
  "use strict";

  var LIVE = ".upkeep-live[data-live]";

  // A policy may forbid what is inline.
  if (window.htmx) {
    window.htmx.config.includeIndicatorStyles = false;
  }

  function isPoll(event) {
    var from = event.detail.elt;
    return from.matches(".upkeep-live") && event.detail.requestConfig.verb === "get";
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
    if (isPoll(event) && [401, 403, 404].includes(event.detail.xhr.status)) {
      event.detail.elt.removeAttribute("data-live");
    }
  });
})();
