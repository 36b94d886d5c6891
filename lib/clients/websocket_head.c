/* websocket_head.c - see websocket_head.h; the grammar is that of RFC 9112, without line folding
 * and without bare line feeds. */
#include "clients/websocket_head.h"

#include "clients/http_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char letter)
{
    return letter == ' ' || letter == '\t';
}

static int take_header(struct websocket_head *head, char *line)
{
    char *colon = strchr(line, ':');
    if (colon == NULL)
        return -EPROTO;
    *colon = '\0';
    char *value = colon + 1;
    while (is_blank(*value))
        value++;
    char *end = value + strlen(value);
    while (end > value && is_blank(end[-1]))
        end--;
    *end = '\0';
    if (!http_is_token(line) || !http_is_value(value))
        return -EPROTO;
    if (head->header_count == AW_WEBSOCKET_HEADERS_MAX)
        return -EMSGSIZE;
    head->headers[head->header_count++] = (struct aw_http_header){line, value};
    return 0;
}

/* Ends the line at `at` and returns the one after it; NULL: it has no end. */
static char *end_line(char *at)
{
    char *end = strstr(at, "\r\n");
    if (end == NULL)
        return NULL;
    *end = '\0';
    return end + 2;
}

static int parse(struct websocket_head *head)
{
    head->line = head->text;
    char *at = end_line(head->text);
    if (at == NULL || !http_is_value(head->line) || head->line[0] == '\0')
        return -EPROTO;
    for (char *line = at; (at = end_line(line)) != NULL; line = at) {
        if (line[0] == '\0')
            return *at == '\0' ? 0 : -EPROTO;
        int result = take_header(head, line);
        if (result < 0)
            return result;
    }
    return -EPROTO;
}

int websocket_head_parse(struct websocket_head *head, const char *text, size_t size)
{
    *head = (struct websocket_head){0};
    if (memchr(text, '\0', size) != NULL)
        return -EPROTO;
    head->text = malloc(size + 1);
    if (head->text == NULL)
        return -ENOMEM;
    memcpy(head->text, text, size);
    head->text[size] = '\0';
    int result = parse(head);
    if (result < 0)
        websocket_head_free(head);
    return result;
}

void websocket_head_free(struct websocket_head *head)
{
    free(head->text);
    *head = (struct websocket_head){0};
}

bool websocket_head_cut_line(struct websocket_head *head, const char *ret_words[3])
{
    char *first = strchr(head->line, ' ');
    char *second = first ? strchr(first + 1, ' ') : NULL;
    if (second == NULL)
        return false;
    *first = '\0';
    *second = '\0';
    ret_words[0] = head->line;
    ret_words[1] = first + 1;
    ret_words[2] = second + 1;
    return true;
}

size_t websocket_head_find(const struct websocket_head *head, const char *name,
                           const char **ret_value)
{
    size_t count = 0;
    *ret_value = NULL;
    for (size_t i = 0; i < head->header_count; i++)
        if (http_name_is(head->headers[i].name, name) && count++ == 0)
            *ret_value = head->headers[i].value;
    return count;
}

bool websocket_head_lists(const struct websocket_head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->header_count; i++) {
        const char *list = head->headers[i].value;
        const char *item;
        size_t size;
        if (!http_name_is(head->headers[i].name, name))
            continue;
        while (websocket_list_next(&list, &item, &size))
            if (size == strlen(token) && strncasecmp(item, token, size) == 0)
                return true;
    }
    return false;
}

bool websocket_list_next(const char **list, const char **ret_item, size_t *ret_size)
{
    const char *at = *list;
    while (is_blank(*at) || *at == ',')
        at++;
    size_t size = strcspn(at, ",");
    *list = at + size;
    while (size > 0 && is_blank(at[size - 1]))
        size--;
    *ret_item = at;
    *ret_size = size;
    return size > 0;
}
