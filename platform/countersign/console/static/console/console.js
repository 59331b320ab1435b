// What cannot be said in HTML: a live part keeps what the reader has opened, and says its news
// to those who do not see the page. Without this file every page still works.
(function () {
  "use strict";

  let open = [];

  document.addEventListener("htmx:beforeSwap", function (event) {
    open = Array.from(event.detail.target.querySelectorAll("details[open][id]"), function (each) {
      return each.id;
    });
  });

  document.addEventListener("htmx:afterSettle", function (event) {
    open.forEach(function (id) {
      const found = document.getElementById(id);
      if (found) {
        found.open = true;
      }
    });
    open = [];
    announce(event.detail.elt);
  });

  function announce(part) {
    const news = document.getElementById("news");
    const told = part && part.dataset ? part.dataset.news : "";
    if (news && told && news.textContent !== told) {
      news.textContent = told;
    }
  }

  // A menu closes when the reader turns elsewhere.
  document.addEventListener("click", function (event) {
    document.querySelectorAll(".who details[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) {
        menu.open = false;
      }
    });
  });
  document.addEventListener("keydown", function (event) {
    const menu = document.querySelector(".who details[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A second click on a form that is on its way does nothing.
  document.addEventListener("submit", function (event) {
    if (event.target.dataset.sent) {
      event.preventDefault();
    }
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) {
      delete form.dataset.sent;
    });
  });
})();
