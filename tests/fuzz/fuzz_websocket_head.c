/* fuzz_websocket_head.c - a head that is accepted has only headers whose names are tokens and whose
 * values hold no line break; written again it is read as the same. */
#include "clients/http_text.h"
#include "clients/websocket_head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static char *write_again(const struct websocket_head *head, size_t room)
{
    char *text = malloc(room);
    expect(text != NULL);
    char *at = stpcpy(stpcpy(text, head->line), "\r\n");
    for (size_t i = 0; i < head->header_count; i++) {
        expect(http_is_token(head->headers[i].name) && http_is_value(head->headers[i].value));
        at = stpcpy(stpcpy(at, head->headers[i].name), ":");
        at = stpcpy(stpcpy(at, head->headers[i].value), "\r\n");
    }
    (void)stpcpy(at, "\r\n");
    return text;
}

static void expect_same(const struct websocket_head *one, const struct websocket_head *other)
{
    expect(strcmp(one->line, other->line) == 0 && one->header_count == other->header_count);
    for (size_t i = 0; i < one->header_count; i++)
        expect(strcmp(one->headers[i].name, other->headers[i].name) == 0 &&
               strcmp(one->headers[i].value, other->headers[i].value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct websocket_head head;
    struct websocket_head again;
    const char *words[3];
    const char *value;
    if (websocket_head_parse(&head, (const char *)data, size) < 0)
        return 0;
    char *text = write_again(&head, size + 1);
    expect(websocket_head_parse(&again, text, strlen(text)) == 0);
    free(text);
    expect_same(&head, &again);
    websocket_head_free(&again);
    (void)websocket_head_find(&head, "Upgrade", &value);
    (void)websocket_head_lists(&head, "Connection", "Upgrade");
    if (websocket_head_cut_line(&head, words))
        expect(strchr(words[0], ' ') == NULL && strchr(words[1], ' ') == NULL);
    websocket_head_free(&head);
    return 0;
}
