"""test_example_scraper.py - the example of that name: it crawls a site that this test serves, many
pages at once, and what it stores is what a browser would have found in them."""

import http.server
import sqlite3
import subprocess
import threading

import pytest

from harness import daemon

PAGES = 600      # more than the scraper's 200
AT_ONCE = 20
CROWD_FROM = 31  # pages from here on are answered once AT_ONCE requests wait at the same time


def page_of(number):
    """A page links to two others, so that all can be reached from the first; badly written."""
    links = [f"<LI><a href={n}>page {n}" for n in (2 * number + 1, 2 * number + 2) if n < PAGES]
    return f"""<!-- <a href="/in-a-comment"> -->
<html><head><title> Page
   &#8470; {number} &amp; &lt;caf\u00e9&gt;</title>
<script>var text = '<a href="/in-a-script">';</script>
<body><ul>{"".join(links)}</ul>
<p>unclosed <b>bold <A HREF='/{number}#part'>itself</A> <a href="mailto:a@example.org">mail</a>
<a name="no-link">x</a> <a href="http://elsewhere.invalid/a?b=1&amp;c=2">elsewhere</a>
""".encode()


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        site = self.server
        number = int(self.path[1:] or 0)
        with site.lock:
            site.paths.append(self.path)
            site.running += 1
            site.most = max(site.most, site.running)
            if site.running == AT_ONCE:
                site.crowd.set()
        if number >= CROWD_FROM:
            site.crowd.wait(120)
        with site.lock:
            site.running -= 1
        if number == 3:  # the scraper goes on without it
            self.close_connection = True
            return
        body = page_of(number)
        self.send_response(404 if number == 6 else 200)
        self.send_header("Content-Type", "text/html; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture(scope="module", name="crawl")
def crawl_of(tmp_path_factory):
    path = tmp_path_factory.mktemp("scraper") / "pages.db"
    with Listener(("127.0.0.1", 0), Site) as site:
        site.lock, site.crowd = threading.Lock(), threading.Event()
        site.paths, site.running, site.most = [], 0, 0
        threading.Thread(target=site.serve_forever, args=(0.02,), daemon=True).start()
        site.base = f"http://127.0.0.1:{site.server_address[1]}"
        done = subprocess.run([str(daemon.BUILD / "examples/scraper"), site.base + "/0", str(path)],
                              capture_output=True, text=True, timeout=240, check=False)
        site.shutdown()
    assert done.stderr == ""
    assert done.returncode == 0
    with sqlite3.connect(path) as database:
        yield site, done.stdout, lambda sql, *values: database.execute(sql, values).fetchall()
    database.close()


def test_two_hundred_pages_are_stored_once_each(crawl):
    site, output, ask = crawl
    asked = [path for path in site.paths if path != "/3"]  # that one is tried again
    assert len(asked) == len(set(asked)) == 199
    stored = {url for url, in ask("SELECT url FROM page")}
    assert stored == {site.base + path for path in site.paths}
    assert output == f"200 pages, {ask('SELECT count(*) FROM link')[0][0]} links\n"


def test_many_are_fetched_at_once_but_not_more_than_allowed(crawl):
    site, _, _ = crawl
    assert site.crowd.is_set()
    assert site.most == AT_ONCE


def test_titles_are_what_a_reader_sees(crawl):
    site, _, ask = crawl
    assert ask("SELECT status, title, error FROM page WHERE url = ?", site.base + "/9") == [
        (200, "Page \u2116 9 & <caf\u00e9>", None)]


def test_links_are_whole_and_only_what_is_one(crawl):
    site, _, ask = crawl
    links = [url for url, in ask("SELECT target FROM link WHERE page = ?", site.base + "/9")]
    assert links == [f"{site.base}/19", f"{site.base}/20", f"{site.base}/9",
                     "http://elsewhere.invalid/a?b=1&c=2"]
    assert ask("SELECT count(*) FROM link WHERE target LIKE '%in-a-%'") == [(0,)]


def test_what_a_page_lacks_is_stored_too(crawl):
    site, _, ask = crawl
    assert ask("SELECT status FROM page WHERE url = ?", site.base + "/6") == [(404,)]
    [(status, title, error)] = ask("SELECT status, title, error FROM page WHERE url = ?",
                                   site.base + "/3")
    assert status is None and title is None and "/3" in error


def test_a_file_that_is_there_is_left_alone(crawl, tmp_path):
    path = tmp_path / "pages.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE page (mine)")
    database.close()
    done = subprocess.run([str(daemon.BUILD / "examples/scraper"), "http://127.0.0.1:1/",
                           str(path)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr == "scraper: table page already exists\n"
