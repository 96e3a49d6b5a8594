// The reader's language, and times as the reader's clock shows them. Works on a page, and on a fresh copy of one.
const root = document.documentElement;
const languages = root.dataset.languages.split(" ");

function kept(value) {
  try {
    if (value) localStorage.setItem("dualface-language", value);
    return localStorage.getItem("dualface-language");
  } catch {
    return value;
  }
}

function preferred() {
  const wanted = [kept(), ...(navigator.languages || [])].map((name) => (name || "").slice(0, 2));
  return wanted.find((name) => languages.includes(name)) || languages[0];
}

function localTime(date, language) {
  const own = (navigator.languages || []).find((name) => name.startsWith(language)) || language;
  const today = date.toDateString() === new Date().toDateString();
  const day = today ? {} : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(own, { hour: "2-digit", minute: "2-digit", ...day }).format(date);
}

function localise(page) {
  for (const time of page.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    const language = time.closest("[lang]")?.lang || root.lang;
    if (!isNaN(date)) time.textContent = localTime(date, languages.includes(language) ? language : root.lang);
  }
  for (const button of page.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === root.lang));
  }
}

function speak(language) {
  root.lang = language;
  localise(document);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-language]");
  if (button) speak(kept(button.dataset.language) || button.dataset.language);
});
