// Pairing: asks the instrument to show a code, sends what was typed, and opens the page when it was right.

const $ = (id) => document.getElementById(id);
const say = (text) => { $("said").textContent = text; };

async function send(what) {
  try {
    const answer = await fetch("/api/pair", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) });
    return await answer.json();
  } catch {
    return { ok: false, error: "the instrument does not answer; is it still running?" };
  }
}

$("ask").addEventListener("click", async () => {
  const answer = await send({});
  say(answer.ok ? "Look at the display." : answer.error);
  if (!answer.ok) return;
  $("form").hidden = false;
  $("ask").textContent = "Show me another code";
  $("code").focus();
});

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await send({ code: $("code").value.trim() });
  if (answer.ok) { say("Paired. Opening …"); location.replace("/"); return; }
  say(answer.error);
  $("code").value = "";
  $("code").focus();
});
