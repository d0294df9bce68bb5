// A dismissed notice stays away in this browser until its words change.
const DISMISSED = "triad-notice-dismissed";
const notice = document.getElementById("triad-notice");
const button = element.querySelector("button");
if (localStorage.getItem(DISMISSED) === button.dataset.words) notice.hidden = true;
button.addEventListener("click", () => {
  localStorage.setItem(DISMISSED, button.dataset.words);
  notice.hidden = true;
  document.querySelector("#triad-box textarea")?.focus();
});
