// The door: asks for a code to be shown, sends it back, and opens the page. Imports nothing, so that little is open to all.

const tell = document.getElementById("tell"), begin = document.getElementById("begin"), enter = document.getElementById("enter"), code = document.getElementById("code");

function say(text, bad = false) {
  tell.textContent = text;
  tell.classList.toggle("bad", bad);
}

/** @returns {Promise<object>} the answer; never throws */
async function ask(what) {
  try {
    const answer = await fetch("/api/pair", { method: "POST", body: JSON.stringify(what) });
    return await answer.json();
  } catch {
    return { ok: false, error: "The instrument does not answer; is it on, and in this network?" };
  }
}

async function busy(form, work) {
  const buttons = form.querySelectorAll("button");
  buttons.forEach((one) => { one.disabled = true; });
  await work();
  buttons.forEach((one) => { one.disabled = false; });
}

begin.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(begin, async () => {
    const answer = await ask({});
    if (!answer.ok) return say(answer.error, true);
    say(`The display shows a code. It is good for ${Math.round(answer.until_s)} seconds.`);
    enter.hidden = false;
    begin.querySelector("button").textContent = "Show it again";
    code.focus();
  });
});

enter.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(enter, async () => {
    const answer = await ask({ code: code.value.trim() });
    if (answer.ok) return location.replace("/");
    say(answer.error, true);
    code.select();
  });
});

code.addEventListener("input", () => { if (/^\d{6}$/.test(code.value)) enter.requestSubmit(); });
