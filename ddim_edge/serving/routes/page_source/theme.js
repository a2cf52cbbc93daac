"use strict";

// The colours: the system's, or those chosen on the page. Runs before the page is drawn.

const THEME = "ddim-edge theme";

function chosenTheme() {
  try {
    return localStorage.getItem(THEME) ?? "";
  } catch {
    return ""; // a browser that stores nothing
  }
}

function useTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    if (theme) localStorage.setItem(THEME, theme);
    else localStorage.removeItem(THEME);
  } catch {
    // It holds until the page is closed.
  }
}

document.documentElement.dataset.theme = chosenTheme();
document.addEventListener("DOMContentLoaded", () => {
  const select = document.getElementById("theme");
  select.value = chosenTheme();
  select.onchange = () => useTheme(select.value);
});
