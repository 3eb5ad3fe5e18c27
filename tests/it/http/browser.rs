//! The status page in a browser: on a phone and on a large screen, by day and
//! by night, with much and with nothing to show. `RELIQUARY_SCREENSHOTS` names a
//! folder for pictures of all of it.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use reliquary::{
    http::{App, Token},
    words::{JobKind, Stage},
};
use secrecy::SecretString;

use super::Server;
use crate::{
    live_state::{at, busy, filled, troubled, young},
    support::browser::{Browser, browser},
};

/// Widths in pixels.
const WIDTHS: [u32; 2] = [360, 1400];

fn keep(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("RELIQUARY_SCREENSHOTS") {
        let picture = BASE64_STANDARD.decode(browser.picture()).unwrap();
        std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), picture).unwrap();
    }
}

/// What must hold of every page, whatever it shows.
fn look(browser: &mut Browser, address: &str, name: &str) {
    for width in WIDTHS {
        for scheme in ["light", "dark"] {
            browser.look(width, 800, scheme);
            browser.open(&format!("http://{address}/"));
            let shown = format!("{name}-{width}-{scheme}");
            keep(browser, &shown);
            let wide = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(wide <= u64::from(width), "{shown} scrolls sideways: {wide}");
            let ground = browser.value("getComputedStyle(document.body).backgroundColor");
            assert_eq!(ground == "rgb(255, 255, 255)", scheme == "light", "{shown}: {ground}");
            // Each cell has its details, and each picture says what it shows.
            let silent = "[...document.querySelectorAll('.grid td, svg[role=img]')].filter(
                e => !(e.textContent || e.getAttribute('aria-label'))).length";
            assert_eq!(browser.value(silent), 0, "{shown}");
            // Nothing that is read is smaller than a phone shows well.
            let small = "[...document.querySelectorAll('main *')].filter(e =>
                [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) &&
                parseFloat(getComputedStyle(e).fontSize) < 10).map(e => e.outerHTML).slice(0, 3)";
            assert_eq!(browser.value(small), serde_json::json!([]), "{shown}");
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_reads_well_with_nothing_with_one_and_with_thirty_days() {
    let name = "it_reads_well_with_nothing_with_one_and_with_thirty_days";
    let Some(mut browser) = browser(name) else { return };
    let pages: [(&str, App); 6] = [
        ("nothing", young().1),
        ("none", filled(0).1),
        ("one", filled(1).1),
        ("month", filled(720).1),
        ("trouble", troubled().1),
        ("several", busy().1),
    ];
    for (name, app) in pages {
        let server = Server::of(app).await;
        let address = server.address.to_string();
        tokio::task::block_in_place(|| look(&mut browser, &address, name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pointing_at_a_cell_shows_what_became_of_its_slot() {
    let name = "pointing_at_a_cell_shows_what_became_of_its_slot";
    let Some(mut browser) = browser(name) else { return };
    let server = Server::of(troubled().1).await;
    let url = format!("http://{}/", server.address);
    tokio::task::block_in_place(|| {
        browser.look(360, 800, "light");
        browser.open(&url);
        let place = browser.value(
            "(() => { const cell = document.querySelector('td.f');
            cell.scrollIntoView({block: 'center'}); const box = cell.getBoundingClientRect();
            return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()",
        );
        let moved = serde_json::json!({"type": "mouseMoved", "x": place["x"], "y": place["y"]});
        browser.call("Input.dispatchMouseEvent", moved);
        browser.until("document.querySelector('td.f span').getBoundingClientRect().height > 40");
        let inside =
            "(() => { const box = document.querySelector('td.f span').getBoundingClientRect();
            return box.left >= 0 && box.right <= innerWidth; })()";
        assert_eq!(browser.value(inside), true);
        keep(&mut browser, "pointing-360-light");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_followed_while_it_lasts_and_its_end_is_seen() {
    let name = "a_run_is_followed_while_it_lasts_and_its_end_is_seen";
    let Some(mut browser) = browser(name) else { return };
    let (clock, app) = filled(3);
    let server = Server::of(app.clone()).await;
    let url = format!("http://{}/", server.address);
    tokio::task::block_in_place(|| {
        browser.look(360, 800, "light");
        browser.open(&url);
        browser.value("document.querySelector('details').open = true; window.same = 1");
        let progress =
            app.state.update("main", |database| database.began(JobKind::Backup, at(30))).unwrap();
        browser
            .until("document.querySelector('#progress-0').textContent.includes('A backup runs')");
        progress.enter(Stage::Upload);
        progress.add_dump_bytes(9_000_000);
        browser.until("document.querySelector('#progress-0').textContent.includes('8.6 MiB')");
        keep(&mut browser, "running-360-light");
        app.state.update("main", |database| {
            database.running = None;
            database.last_success = Some(at(30));
        });
        clock.advance(TimeDelta::seconds(5));
        browser.until("!document.querySelector('#progress-0').textContent.trim()");
        browser.until("document.querySelector('.verdict').textContent.includes('5s old')");
        // It was never loaded anew, and what was opened is still open.
        assert_eq!(browser.value("window.same"), 1);
        assert_eq!(browser.value("document.querySelector('details').open"), true);
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_daemon_is_gone_says_that_it_is_old() {
    let name = "a_page_whose_daemon_is_gone_says_that_it_is_old";
    let Some(mut browser) = browser(name) else { return };
    let (_, app) = filled(3);
    let server = Server::of(app).await;
    let url = format!("http://{}/", server.address);
    browser.look(360, 800, "dark");
    tokio::task::block_in_place(|| browser.open(&url));
    assert_eq!(browser.value("document.getElementById('old').hidden"), true);
    server.end().await;
    tokio::task::block_in_place(|| {
        browser.value("renew()");
        browser.until("!document.getElementById('old').hidden");
        keep(&mut browser, "old-360-dark");
    });
}

/// What is selected is not taken away; but the page does not stay green for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_hides_neither_news_nor_silence() {
    let name = "a_selection_hides_neither_news_nor_silence";
    let Some(mut browser) = browser(name) else { return };
    let (_, app) = filled(3);
    let server = Server::of(app.clone()).await;
    let url = format!("http://{}/", server.address);
    tokio::task::block_in_place(|| {
        browser.look(360, 800, "light");
        browser.open(&url);
        browser.until("events.readyState === 1 && !busy");
        browser.value("getSelection().selectAllChildren(document.querySelector('.verdict'))");
        app.state.update("main", |database| database.giving_up = true);
        browser.until("document.title.startsWith('failing')");
        assert_eq!(browser.value("document.querySelector('.badge').textContent"), "ok");
        assert_eq!(browser.value("document.getElementById('old').hidden"), true);
        // Two minutes later, without waiting for them.
        browser.value("fresh -= 121000");
        browser.until("(renew(), !document.getElementById('old').hidden)");
        browser.value("getSelection().removeAllRanges()");
        browser.until("(renew(), document.querySelector('.badge').textContent == 'failing')");
        browser.until("document.getElementById('old').hidden");
    });
}

/// A browser refuses to ask an address that holds a password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_in_the_address_is_no_alarm_and_a_lost_one_is_said() {
    let name = "a_password_in_the_address_is_no_alarm_and_a_lost_one_is_said";
    let Some(mut browser) = browser(name) else { return };
    let password = Some(Token::new(&SecretString::from("open-sesame-0123456789")));
    let server = Server::of(App { password, ..filled(3).1 }).await;
    let url = format!("http://ada:open-sesame-0123456789@{}/", server.address);
    tokio::task::block_in_place(|| {
        browser.look(360, 800, "light");
        browser.open(&url);
        browser.value("document.querySelector('main').mark = 1");
        browser.until("(renew(), !document.querySelector('main').mark)");
        assert_eq!(browser.value("document.getElementById('old').hidden"), true);
        // As where the password was changed.
        browser.value("void (fetch = async () => new Response('', { status: 401 }))");
        let said = "document.getElementById('old').textContent.includes('password again')";
        browser.until(&format!("(renew(), {said})"));
        assert_eq!(browser.value("document.getElementById('old').hidden"), false);
    });
}

/// A proxy's own page, a portal: what is shown stays, and is renewed again when
/// Reliquary answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_page_in_its_place_is_said_and_takes_nothing_away() {
    let name = "another_page_in_its_place_is_said_and_takes_nothing_away";
    let Some(mut browser) = browser(name) else { return };
    let server = Server::of(filled(3).1).await;
    let url = format!("http://{}/", server.address);
    tokio::task::block_in_place(|| {
        browser.look(360, 800, "light");
        browser.open(&url);
        browser.value("window.real = fetch, void (fetch = async () => new Response(''))");
        // What was asked for before that is not under way any more.
        browser.until("!busy");
        browser.value("document.querySelector('main').mark = 1");
        for other in ["We are back soon.", "<main id=main>Sign in</main>"] {
            browser.value(&format!("void (fetch = async () => new Response('{other}'))"));
            let said = "document.getElementById('old').textContent.includes('Something else')";
            browser.until(&format!("(renew(), {said})"));
            assert_eq!(browser.value("document.querySelector('main').mark"), 1);
            assert_eq!(browser.value("document.body.textContent.endsWith('null')"), false);
        }
        browser.value("void (fetch = window.real)");
        browser.until("(renew(), !document.querySelector('main').mark)");
        browser.until("document.getElementById('old').hidden");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_it_is_whole_and_comes_again_by_itself() {
    let name = "without_scripts_it_is_whole_and_comes_again_by_itself";
    let Some(mut browser) = browser(name) else { return };
    let (_, app) = filled(3);
    app.state.update("main", |database| database.began(JobKind::Backup, at(29)));
    let server = Server::of(app.clone()).await;
    let url = format!("http://{}/", server.address);
    tokio::task::block_in_place(|| {
        browser.look(360, 800, "light");
        browser.call("Emulation.setScriptExecutionDisabled", serde_json::json!({"value": true}));
        browser.open(&url);
        assert_eq!(browser.value("document.querySelectorAll('.grid td').length"), 720);
        // Nothing is there while it comes again.
        let refresh = "document.querySelector('meta[http-equiv=refresh]')?.content";
        assert_eq!(browser.value(refresh), "10");
        app.state.update("main", |database| database.running = None);
        browser.until(&format!("{refresh} == '60'"));
    });
}
