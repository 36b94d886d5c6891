/* test_websocket_parts.c - the pure parts of WebSocket: UTF-8 in pieces, heads, lists, URIs, keys.
 */
#include "clients/websocket_handshake.h"
#include "clients/websocket_uri.h"
#include "clients/websocket_utf8.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- UTF-8 ----------------------------------------------------------------------------------- */
static bool is_utf8(const char *bytes, size_t size, size_t step)
{
    struct websocket_utf8 text = {0};
    for (size_t done = 0; done < size; done += step)
        if (!websocket_utf8_take(&text, bytes + done, size - done < step ? size - done : step))
            return false;
    return websocket_utf8_is_whole(&text);
}

Test(websocket_parts, utf8_is_checked_however_it_is_cut)
{
    static const char good[] =
        "plain text of more than eight bytes, \xc2\x80 \xdf\xbf \xe0\xa0\x80 "
        "\xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 "
        "\xf4\x8f\xbf\xbf";
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "eight bytes and then some \xfe",
                                      "\xe2\x82\xac\xe2\x82"};
    for (size_t step = 1; step <= sizeof good; step++) {
        cr_expect(is_utf8(good, sizeof good - 1, step), "in steps of %zu", step);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
            cr_expect_not(is_utf8(bad[i], strlen(bad[i]), step), "bad %zu, steps of %zu", i, step);
    }
    cr_expect(is_utf8("", 0, 1));
}

/* Every sequence of up to three bytes, against a decoder that thinks differently. */
static bool decodes(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = bytes[i] < 0x80 ? 1 : bytes[i] < 0xe0 ? 2 : bytes[i] < 0xf0 ? 3 : 4;
        uint32_t point = length == 1 ? bytes[i] : bytes[i] & (0xffu >> (length + 1));
        if ((bytes[i] & 0xc0) == 0x80 || bytes[i] >= 0xf8 || i + length > size)
            return false;
        for (size_t k = 1; k < length; k++) {
            if ((bytes[i + k] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (bytes[i + k] & 0x3f);
        }
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
        i += length;
    }
    return true;
}

Test(websocket_parts, utf8_agrees_with_another_decoder)
{
    for (uint32_t number = 0; number < 1u << 24; number += number < 1u << 16 ? 1 : 7) {
        uint8_t bytes[4] = {0xf4, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
        for (size_t first = 0; first < 2; first++)
            if (is_utf8((char *)bytes + first, 4 - first, 4) != decodes(bytes + first, 4 - first))
                cr_assert_fail("%02x %02x %02x %02x from %zu", bytes[0], bytes[1], bytes[2],
                               bytes[3], first);
    }
}

/* --- heads ----------------------------------------------------------------------------------- */
static int parse(struct websocket_head *head, const char *text)
{
    return websocket_head_parse(head, text, strlen(text));
}

Test(websocket_parts, a_head_is_read)
{
    struct websocket_head head;
    const char *words[3];
    const char *value;
    cr_assert_eq(parse(&head, "GET /a?b=c HTTP/1.1\r\nHost: here\r\nX:\r\nx:\t two words \t\r\n"
                              "Connection: keep-alive , UPGRADE,\r\n\r\n"),
                 0);
    cr_assert(websocket_head_cut_line(&head, words));
    cr_expect_str_eq(words[0], "GET");
    cr_expect_str_eq(words[1], "/a?b=c");
    cr_expect_str_eq(words[2], "HTTP/1.1");
    cr_expect_eq(head.header_count, 4);
    cr_expect_eq(websocket_head_find(&head, "host", &value), 1);
    cr_expect_str_eq(value, "here");
    cr_expect_eq(websocket_head_find(&head, "X", &value), 2);
    cr_expect_str_eq(value, "", "the first one");
    cr_expect_str_eq(head.headers[2].value, "two words");
    cr_expect_eq(websocket_head_find(&head, "none", &value), 0);
    cr_expect_null(value);
    cr_expect(websocket_head_lists(&head, "connection", "upgrade"));
    cr_expect_not(websocket_head_lists(&head, "connection", "up"));
    cr_expect_not(websocket_head_lists(&head, "none", "upgrade"));
    websocket_head_free(&head);
    cr_assert_eq(parse(&head, "HTTP/1.1 404 \r\n\r\n"), 0);
    cr_assert(websocket_head_cut_line(&head, words));
    cr_expect_str_eq(words[2], "", "a reason may be missing");
    websocket_head_free(&head);
    cr_assert_eq(parse(&head, "GET /\r\n\r\n"), 0);
    cr_expect_not(websocket_head_cut_line(&head, words));
    websocket_head_free(&head);
}

Test(websocket_parts, what_two_readers_could_read_differently_is_no_head)
{
    static const char *const wrong[] = {"",
                                        "\r\n",
                                        "\r\n\r\n",
                                        "GET / HTTP/1.1\r\n",
                                        "GET / HTTP/1.1\r\nA: b\r\n",
                                        "GET / HTTP/1.1\n\n",
                                        "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
                                        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
                                        "GET / HTTP/1.1\r\n A: b\r\n\r\n",
                                        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
                                        "GET / HTTP/1.1\r\n: b\r\n\r\n",
                                        "GET / HTTP/1.1\r\nA\r\n\r\n",
                                        "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
                                        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
                                        "GET / HTTP/1.1\r\nA: b\r\n\r\nC: d\r\n\r\n",
                                        "GET \x7f HTTP/1.1\r\n\r\n"};
    struct websocket_head head;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq(parse(&head, wrong[i]), -EPROTO, "%zu: %s", i, wrong[i]);
    cr_expect_eq(websocket_head_parse(&head, "GET / HTTP/1.1\r\nA: \0\r\n\r\n", 25), -EPROTO);
    char many[4096] = "GET / HTTP/1.1\r\n";
    for (unsigned i = 0; i < AW_WEBSOCKET_HEADERS_MAX; i++)
        strcat(many, "a: b\r\n");
    size_t size = strlen(many);
    strcat(many, "\r\n");
    cr_assert_eq(parse(&head, many), 0, "at the limit");
    cr_expect_eq(head.header_count, AW_WEBSOCKET_HEADERS_MAX);
    websocket_head_free(&head);
    strcpy(many + size, "a: b\r\n\r\n");
    cr_expect_eq(parse(&head, many), -EMSGSIZE);
}

Test(websocket_parts, lists)
{
    const char *list = " , a,b c ,, d\t";
    const char *item;
    size_t size;
    cr_assert(websocket_list_next(&list, &item, &size));
    cr_expect(size == 1 && *item == 'a');
    cr_assert(websocket_list_next(&list, &item, &size));
    cr_expect(size == 3 && memcmp(item, "b c", 3) == 0);
    cr_assert(websocket_list_next(&list, &item, &size));
    cr_expect(size == 1 && *item == 'd');
    cr_expect_not(websocket_list_next(&list, &item, &size));
    cr_expect(websocket_list_has("chat, superchat", "superchat", 9));
    cr_expect_not(websocket_list_has("chat, superchat", "super", 5));
    cr_expect_not(websocket_list_has("Chat", "chat", 4), "subprotocols have an exact spelling");
}

/* --- URIs ------------------------------------------------------------------------------------ */
Test(websocket_parts, uris)
{
    static const struct {
        const char *uri;
        bool tls;
        const char *host;
        int port;
        const char *authority;
        const char *target;
    } good[] = {
        {"ws://example.org", false, "example.org", 80, "example.org", ""},
        {"WSS://example.org/", true, "example.org", 443, "example.org", "/"},
        {"ws://example.org:80/a/b?c=d", false, "example.org", 80, "example.org", "/a/b?c=d"},
        {"wss://example.org:80?q", true, "example.org", 80, "example.org:80", "?q"},
        {"ws://[::1]:8080/x", false, "::1", 8080, "[::1]:8080", "/x"},
        {"ws://[fe80::1]", false, "fe80::1", 80, "[fe80::1]", ""},
        {"ws://127.0.0.1:65535/", false, "127.0.0.1", 65535, "127.0.0.1:65535", "/"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct websocket_uri uri;
        struct aw_error error = {0};
        cr_assert_eq(websocket_uri_parse(&uri, good[i].uri, &error), 0, "%s: %s", good[i].uri,
                     error.message);
        cr_expect_eq(uri.tls, good[i].tls);
        cr_expect_str_eq(uri.host, good[i].host);
        cr_expect_eq(uri.port, good[i].port);
        cr_expect_str_eq(uri.authority, good[i].authority);
        cr_expect_str_eq(uri.target, good[i].target);
    }
}

Test(websocket_parts, uris_that_cannot_be)
{
    static const char *const wrong[] = {NULL,           "",
                                        "http://a",     "ws:/a",
                                        "ws://",        "ws:///a",
                                        "ws://:80",     "ws://a:",
                                        "ws://a:0",     "ws://a:65536",
                                        "ws://a:1x",    "ws://a b",
                                        "ws://a/b c",   "ws://a/\xc3\xa4",
                                        "ws://a/#b",    "ws://a#b",
                                        "ws://u:p@a/",  "ws://[::1",
                                        "ws://[::1x]",  "ws://[]",
                                        "ws://[::1]80", "ws://a/b\r\nX: y",
                                        "ws://a\r\n"};
    struct websocket_uri uri;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct aw_error error = {0};
        cr_expect_eq(websocket_uri_parse(&uri, wrong[i], &error), -EINVAL, "%s", wrong[i]);
        cr_expect_str_eq(error.code, "REQUEST");
    }
    char name[400] = "ws://";
    memset(name + 5, 'a', WEBSOCKET_HOST_SIZE - 1);
    cr_expect_eq(websocket_uri_parse(&uri, name, NULL), 0, "at the limit");
    name[5 + WEBSOCKET_HOST_SIZE - 1] = 'a';
    cr_expect_eq(websocket_uri_parse(&uri, name, NULL), -EINVAL);
}

/* --- the handshake's parts ------------------------------------------------------------------- */
Test(websocket_parts, keys)
{
    char answer[WEBSOCKET_ANSWER_SIZE];
    char key[WEBSOCKET_KEY_SIZE];
    char other[WEBSOCKET_KEY_SIZE];
    cr_assert_eq(websocket_answer_key("dGhlIHNhbXBsZSBub25jZQ==", answer), 0);
    cr_expect_str_eq(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the example of RFC 6455");
    websocket_make_key(key);
    websocket_make_key(other);
    cr_expect(websocket_is_key(key));
    cr_expect_str_neq(key, other);
    cr_expect_not(websocket_is_key(""));
    cr_expect_not(websocket_is_key("dGhlIHNhbXBsZSBub25jZQ="));
    cr_expect_not(websocket_is_key("dGhlIHNhbXBsZSBub25jZQAA"));
    cr_expect_not(websocket_is_key("dGhlIHNhbXBsZSBub25j*Q=="));
    cr_expect_not(websocket_is_key("dGhlIHNhbXBsZSBub25jZQ==dGhl"));
}

static int take(const struct aw_websocket_options *options)
{
    struct aw_websocket_options taken;
    struct aw_error error = {0};
    int result = websocket_take_options(options, &taken, &error);
    if (result < 0)
        cr_expect_str_eq(error.code, "REQUEST");
    return result;
}

Test(websocket_parts, options)
{
    struct aw_websocket_options options = {0};
    struct aw_http_header headers[65] = {{"Authorization", "Basic QQ=="}};
    cr_expect_eq(take(NULL), 0);
    options.message_size_max = (size_t)1 << 30;
    options.send_queue_max = (size_t)1 << 30;
    options.protocols = "a, b";
    options.headers = headers;
    options.header_count = 1;
    cr_expect_eq(take(&options), 0);
    options.message_size_max++;
    cr_expect_eq(take(&options), -EINVAL);
    options.message_size_max = 0;
    options.send_queue_max++;
    cr_expect_eq(take(&options), -EINVAL);
    options.send_queue_max = 0;
    options.protocols = "a b";
    cr_expect_eq(take(&options), -EINVAL);
    options.protocols = NULL;
    options.origin = "x\r\ny";
    cr_expect_eq(take(&options), -EINVAL);
    options.origin = NULL;
    static const struct aw_http_header wrong[] = {
        {"Host", "a"}, {"upgrade", "a"}, {"Sec-WebSocket-Key", "a"}, {"a b", "a"},
        {NULL, "a"},   {"a", NULL},      {"a", "b\r\nc: d"},         {"Content-Length", "1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        headers[0] = wrong[i];
        cr_expect_eq(take(&options), -EINVAL, "header %zu", i);
    }
    for (size_t i = 0; i < 65; i++)
        headers[i] = (struct aw_http_header){"a", "b"};
    options.header_count = 64;
    cr_expect_eq(take(&options), 0, "at the limit");
    options.header_count = 65;
    cr_expect_eq(take(&options), -EINVAL);
}
