// Keeps the page fresh where scripts run; without them it reloads by itself.
'use strict';

// Without what the address bar holds besides: a browser asks for nothing at an
// address that has a password in it.
const here = location.origin + location.pathname;
// Milliseconds: the deadline of one answer, the time between two, and the age at
// which what is shown counts as old.
const PATIENCE = 10000;
const PAUSE = 60000;
const OLD = 120000;

let busy = false;
// When what is shown was the truth, and what to say when that is long ago.
let fresh = Date.now();
let why = '';

// Says that what is shown is old, or takes that back.
function alarm(failed) {
  const old = document.getElementById('old');
  const late = Date.now() - fresh > OLD;
  if (!failed && !late) {
    old.hidden = true;
    return;
  }
  const text = (why || 'Reliquary does not answer.') + ' What stands below may be old.';
  if (old.textContent !== text) old.textContent = text;
  old.hidden = false;
}

// Takes the page again and puts its content in the place of the old one; what
// was opened stays open, and what is selected is not taken away.
async function renew() {
  if (busy) return;
  busy = true;
  let failed = true;
  try {
    const headers = { Accept: 'text/html' };
    const answer = await fetch(here, { headers, signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) {
      why = answer.status === 401
        ? 'Reliquary asks for the password again: load this page anew.'
        : `Reliquary answers with an error (${answer.status}).`;
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const icon = page.querySelector('link[rel=icon]');
    const main = page.querySelector('main#main');
    if (!icon || !main || !page.getElementById('old')) {
      why = 'Something else answers in the place of Reliquary.';
      return;
    }
    failed = false;
    document.querySelector('link[rel=icon]').replaceWith(icon);
    document.title = page.title;
    if (String(getSelection())) {
      why = 'Text is selected, so this page is not renewed.';
      return;
    }
    for (const details of document.querySelectorAll('main details[open]')) {
      const same = page.getElementById(details.id);
      if (same) same.open = true;
    }
    document.querySelector('main').replaceWith(main);
    fresh = Date.now();
  } catch {
    why = '';
  } finally {
    busy = false;
    alarm(failed);
  }
}

const events = new EventSource(new URL('events', here));
// A stream that has just opened does not know what was before it, and one that
// broke off may mean that nobody is there any more.
for (const name of ['change', 'open', 'error']) events.addEventListener(name, renew);
// What runs, as the server has written it: one element a database.
events.addEventListener('progress', (event) => {
  const fragment = new DOMParser().parseFromString(event.data, 'text/html');
  for (const element of fragment.querySelectorAll('[data-progress]')) {
    document.getElementById(element.id)?.replaceWith(element);
  }
});
setInterval(renew, PAUSE);
// A phone that was asleep has renewed nothing meanwhile.
document.addEventListener('visibilitychange', () => { if (!document.hidden) renew(); });
