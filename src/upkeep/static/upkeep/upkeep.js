// What our pages do beside htmx and progress.js: a word for those who listen, and a
// guard against nervous hands. All of it works without, too.
(function () {
  "use strict";

  function isPoll(event) {
    var from = event.detail.elt;
    return from.matches(".upkeep-live") && event.detail.requestConfig.verb === "get";
  }

  // A wish that came to nothing is told of, and so is the end of the news. What may
  // pass by itself, such as a restart, is told of while it lasts.
  document.addEventListener("htmx:responseError", function (event) {
    if (isPoll(event) && event.detail.elt.hasAttribute("data-live")) {
      show("silence", true);
    } else {
      show("silence", false);
      show("trouble", true);
    }
  });

  document.addEventListener("htmx:sendError", function (event) {
    show(isPoll(event) ? "silence" : "trouble", true);
  });

  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.successful) {
      show("silence", false);
    }
  });

  function show(id, wanted) {
    var note = document.getElementById(id);
    if (note && note.hidden === wanted) {
      note.hidden = !wanted;
    }
  }

  // A second click, meant for what stood here a moment ago, or sent by a nervous hand.
  var SETTLED = 600; // milliseconds
  var exchanged = -SETTLED;
  document.addEventListener("htmx:afterSwap", function (event) {
    if (event.detail.requestConfig.verb !== "get") {
      exchanged = performance.now();
      show("notice", false); // It told of what was before.
    }
  });
  document.addEventListener(
    "submit",
    function (event) {
      var form = event.target;
      var isTooSoon = performance.now() - exchanged < SETTLED;
      // form.method would be the parameter of that name.
      var isPost = form.getAttribute("method") === "post";
      if (isPost && (isTooSoon || form.hasAttribute("data-sent"))) {
        event.preventDefault();
        event.stopPropagation();
      } else if (isPost && !form.hasAttribute("hx-post")) {
        form.setAttribute("data-sent", "");
      }
    },
    true
  );
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) {
      form.removeAttribute("data-sent");
    });
  });

  // One box chooses all of a page, or none; it is there only where this is.
  function each(selector, act) {
    Array.prototype.forEach.call(document.querySelectorAll(selector), act);
  }

  function boxes(whole) {
    var name = whole.getAttribute("data-choose");
    return Array.prototype.filter.call(whole.form.elements, function (box) {
      return box.type === "checkbox" && box.name === name;
    });
  }

  function isChosen(box) {
    return box.checked;
  }

  function tell(whole) {
    var all = boxes(whole);
    whole.checked = all.every(isChosen);
    whole.indeterminate = !whole.checked && all.some(isChosen);
    whole.closest("label").hidden = !all.length;
  }

  function tellAll() {
    each("[data-choose]", tell);
  }

  document.addEventListener("change", function (event) {
    if (event.target.matches("[data-choose]")) {
      boxes(event.target).forEach(function (box) {
        box.checked = event.target.checked;
      });
    }
    tellAll();
  });
  document.addEventListener("DOMContentLoaded", tellAll);
  document.addEventListener("htmx:afterSettle", tellAll);
  window.addEventListener("pageshow", tellAll); // A browser may bring choices back.

  // Who goes by keyboard keeps the place when the part around it is exchanged: on the
  // same link, else (htmx itself sees to what has an id) on the part as a whole.
  var left = null;
  document.addEventListener("htmx:beforeSwap", function (event) {
    var focused = document.activeElement;
    left = event.detail.target.contains(focused) ? focused : null;
  });
  document.addEventListener("htmx:afterSettle", function (event) {
    if (left && document.activeElement === document.body) {
      var part = event.detail.elt;
      var same = Array.prototype.find.call(
        part.querySelectorAll(left.localName),
        function (each) {
          return each.tabIndex >= 0 && each.textContent === left.textContent;
        }
      );
      part.tabIndex = -1;
      (same || part).focus({ preventScroll: true });
    }
    left = null;
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
