// Keeps the page fresh where scripts run; without them it reloads by itself.
'use strict';

let busy = false;

// Takes the page again and puts its content in the place of the old one; what
// was opened stays open.
async function renew() {
  if (busy || String(getSelection())) return;
  busy = true;
  try {
    const answer = await fetch('./', { headers: { Accept: 'text/html' } });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const details of document.querySelectorAll('main details[open]')) {
      const same = fresh.getElementById(details.id);
      if (same) same.open = true;
    }
    document.querySelector('main').replaceWith(fresh.querySelector('main'));
    document.querySelector('link[rel=icon]').replaceWith(fresh.querySelector('link[rel=icon]'));
    document.title = fresh.title;
    document.getElementById('old').hidden = true;
  } catch {
    document.getElementById('old').hidden = false;
  } finally {
    busy = false;
  }
}

const events = new EventSource('events');
// A stream that has just opened does not know what was before it, and one that
// broke off may mean that nobody is there any more.
for (const name of ['change', 'open', 'error']) events.addEventListener(name, renew);
// What runs, as the server has written it: one element a database.
events.addEventListener('progress', (event) => {
  const fresh = new DOMParser().parseFromString(event.data, 'text/html');
  for (const element of fresh.querySelectorAll('[data-progress]')) {
    document.getElementById(element.id)?.replaceWith(element);
  }
});
setInterval(renew, 60000);
