/* scraper.c - fetches the pages of a site, many at once, and stores titles and links in SQLite.
 *
 *     cc scraper.c $(pkg-config --cflags --libs await libxml-2.0) -o scraper
 *     ./scraper http://localhost:8000/ pages.db
 *
 * It begins at one page and goes on to what that links to on the same server, up to 200 pages, 20
 * at the same time. */
#include <await.h>
#include <errno.h>
#include <libxml/HTMLparser.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_MAX 200
#define AT_ONCE 20
#define LINKS_MAX 500 /* kept of a page */

struct page {
    struct scraper *scraper;
    char *url;
    struct aw_http_response response;
    struct aw_error error; /* why there is no response */
    char *title;
    char *links[LINKS_MAX]; /* as they stand in the page, then as they are stored */
    unsigned link_count;
};

struct scraper {
    const char *file;
    const char *start;
    struct aw_http_client *client;
    struct aw_sqlite_pool *database;
    struct aw_http_origin home;
    struct aw_semaphore places;
    struct aw_group visits;
    struct page *pages[PAGES_MAX];
    unsigned page_count;
    unsigned link_count;
    struct aw_error error;
};

/* --- parsing, on a thread: it computes, and the loop has better things to do ------------------ */

static void take_links(struct page *page, xmlXPathContextPtr context)
{
    xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)"//a/@href", context);
    int count = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    for (int i = 0; i < count && page->link_count < LINKS_MAX; i++) {
        xmlChar *link = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
        if (link)
            page->links[page->link_count++] = strdup((char *)link);
        xmlFree(link);
    }
    xmlXPathFreeObject(found);
}

static int parse(void *argument)
{
    struct page *page = argument;
    const char *type = aw_http_header(&page->response, "Content-Type");
    const char *encoding = type && strcasestr(type, "charset=utf-8") ? "utf-8" : NULL;
    htmlDocPtr document = htmlReadMemory(
        page->response.body, (int)page->response.body_size, page->url, encoding,
        HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
    xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;
    if (context) {
        static const char expression[] = "normalize-space(//title)";
        xmlXPathObjectPtr title = xmlXPathEvalExpression((const xmlChar *)expression, context);
        page->title = title ? strdup((char *)title->stringval) : NULL;
        xmlXPathFreeObject(title);
        take_links(page, context);
        xmlXPathFreeContext(context);
    }
    xmlFreeDoc(document);
    return 0;
}

/* --- storing: a page and its links in one transaction ----------------------------------------- */

static struct aw_sqlite_value text(const char *string)
{
    return (struct aw_sqlite_value){.type = string ? SQLITE_TEXT : SQLITE_NULL, .data = string,
                                    .size = string ? strlen(string) : 0};
}

static int store(struct page *page)
{
    static const char add_page[] = "INSERT INTO page VALUES (?, nullif(?, 0), ?, ?)";
    static const char add_link[] = "INSERT INTO link VALUES (?, ?)";
    struct aw_sqlite_statement statements[1 + LINKS_MAX];
    struct aw_sqlite_value link_values[LINKS_MAX][2];
    struct aw_sqlite_value values[4] = {
        text(page->url), {.type = SQLITE_INTEGER, .integer = page->response.status},
        text(page->title), text(page->error.number < 0 ? page->error.message : NULL)};
    statements[0] = (struct aw_sqlite_statement){add_page, strlen(add_page), values, 4};
    for (unsigned i = 0; i < page->link_count; i++) {
        link_values[i][0] = text(page->url);
        link_values[i][1] = text(page->links[i]);
        statements[1 + i] =
            (struct aw_sqlite_statement){add_link, strlen(add_link), link_values[i], 2};
    }
    return aw_sqlite_query(page->scraper->database, statements, 1 + page->link_count, NULL,
                           &page->scraper->error);
}

static int make_tables(struct scraper *scraper)
{
    static const char pages[] =
        "CREATE TABLE page (url TEXT PRIMARY KEY, status INTEGER, title TEXT, error TEXT)";
    static const char links[] = "CREATE TABLE link (page TEXT, target TEXT)";
    const struct aw_sqlite_statement statements[] = {{pages, strlen(pages), NULL, 0},
                                                     {links, strlen(links), NULL, 0}};
    return aw_sqlite_query(scraper->database, statements, 2, NULL, &scraper->error);
}

/* --- going from page to page ------------------------------------------------------------------ */

static int visit(void *argument);

/* A task for a page that nobody has seen, while there are places. */
static int discover(struct scraper *scraper, const char *url)
{
    for (unsigned i = 0; i < scraper->page_count; i++)
        if (strcmp(scraper->pages[i]->url, url) == 0)
            return 0;
    if (scraper->page_count == PAGES_MAX)
        return 0;
    struct page *page = calloc(1, sizeof *page);
    if (!page)
        return -ENOMEM;
    scraper->pages[scraper->page_count++] = page; /* freed with the scraper */
    page->scraper = scraper;
    page->url = strdup(url);
    return page->url ? aw_group_spawn(&scraper->visits, visit, page) : -ENOMEM;
}

/* Links become whole URLs; those that lead nowhere on the web are dropped. */
static int follow_links(struct page *page)
{
    struct scraper *scraper = page->scraper;
    unsigned kept = 0;
    int result = 0;
    for (unsigned i = 0; i < page->link_count; i++) {
        char *url = NULL;
        struct aw_http_origin origin;
        if (page->links[i] && aw_http_url_join(page->url, page->links[i], &url) == 0)
            url[strcspn(url, "#")] = '\0';
        free(page->links[i]);
        page->links[i] = NULL;
        if (!url)
            continue;
        page->links[kept++] = url;
        if (result == 0 && aw_http_origin_of(url, &origin) == 0 &&
            strcmp(origin.host, scraper->home.host) == 0 && origin.port == scraper->home.port)
            result = discover(scraper, url);
    }
    page->link_count = kept;
    scraper->link_count += kept;
    return result;
}

static int visit(void *argument)
{
    struct page *page = argument;
    struct scraper *scraper = page->scraper;
    int result = 0;
    AW_WITH(result, aw_with_semaphore(&scraper->places)) {
        result = aw_http_get(scraper->client, page->url, &page->response, &page->error);
    }
    if (result == 0)
        result = aw_to_thread(parse, page);
    if (result == 0)
        result = follow_links(page);
    if (result == 0 || page->error.number < 0) /* that a page cannot be had is stored as well */
        result = store(page);
    aw_http_response_free(&page->response);
    return result;
}

static void free_pages(struct scraper *scraper)
{
    for (unsigned i = 0; i < scraper->page_count; i++) {
        struct page *page = scraper->pages[i];
        for (unsigned j = 0; j < page->link_count; j++)
            free(page->links[j]);
        free(page->title);
        free(page->url);
        free(page);
    }
}

static int scrape(void *argument)
{
    struct scraper *scraper = argument;
    const struct aw_http_options http = {.connections_per_host_max = AT_ONCE,
                                         .timeout_ms = 120000, .response_size_max = 1 << 20};
    const struct aw_sqlite_pool_options sqlite = {.flags = AW_SQLITE_CREATE};
    aw_semaphore_init(&scraper->places, AT_ONCE);
    aw_group_init(&scraper->visits, AW_GROUP_FAIL_FAST);
    int result = aw_http_client_open(&scraper->client, &http, &scraper->error);
    if (result == 0)
        result = aw_sqlite_pool_new(&scraper->database, scraper->file, &sqlite, &scraper->error);
    if (result == 0)
        result = make_tables(scraper);
    if (result == 0)
        result = aw_http_origin_of(scraper->start, &scraper->home);
    if (result == 0) {
        result = discover(scraper, scraper->start);
        int visited = aw_group_wait(&scraper->visits);
        result = result < 0 ? result : visited;
    }
    aw_http_client_close(scraper->client);
    aw_sqlite_pool_free(scraper->database);
    free_pages(scraper);
    return result;
}

int main(int count, char *arguments[])
{
    if (count != 3) {
        fprintf(stderr, "usage: scraper URL FILE\n");
        return 2;
    }
    xmlInitParser(); /* before there are threads */
    struct scraper scraper = {.start = arguments[1], .file = arguments[2]};
    int result = aw_run(scrape, &scraper);
    if (result < 0)
        fprintf(stderr, "scraper: %s\n",
                scraper.error.number < 0 ? scraper.error.message : aw_error_text(result));
    else
        printf("%u pages, %u links\n", scraper.page_count, scraper.link_count);
    xmlCleanupParser();
    return result < 0;
}
