// In the hidden copy by which an open page reads its file again, what follows is text: no image of it is loaded.
if (window.name === "dualface-copy") {
  document.write("<plaintext hidden>");
  addEventListener("DOMContentLoaded", () => {
    const { build } = document.documentElement.dataset;
    parent.postMessage({ build, text: document.querySelector("plaintext").textContent }, "*");
  });
}
