/* http_form.c - see await/http_form.h. */
#include <await/http_form.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("-._~", byte) != NULL);
}

static char *put(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static char *put_encoded(char *at, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        if (is_plain(*text)) {
            *at++ = *text;
            continue;
        }
        unsigned byte = (unsigned char)*text;
        *at++ = '%';
        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
    }
    return at;
}

static const char *value_of(const struct aw_http_field *field)
{
    return field->value != NULL ? field->value : "";
}

/* `before`, the fields, `after`, in one piece of memory. */
static int build(const char *before, size_t before_size, const struct aw_http_field *fields,
                 size_t count, const char *after, char **ret_text, struct aw_error *reterr)
{
    size_t most = before_size + strlen(after) + 1;
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name == NULL || fields[i].name[0] == '\0')
            return aw_error_set_code(reterr, -EINVAL, "REQUEST", "field %zu has no name", i + 1);
        most += 3 * (strlen(fields[i].name) + strlen(value_of(&fields[i]))) + 2;
    }
    char *text = malloc(most);
    if (text == NULL)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for a request's fields");
    char *at = put(text, before, before_size);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = '&';
        at = put_encoded(at, fields[i].name);
        *at++ = '=';
        at = put_encoded(at, value_of(&fields[i]));
    }
    at = put(at, after, strlen(after));
    *at = '\0';
    *ret_text = text;
    return 0;
}

int aw_http_encode(const struct aw_http_field *fields, size_t count, char **ret_text,
                   struct aw_error *reterr)
{
    return build("", 0, fields, count, "", ret_text, reterr);
}

int aw_http_url_with(const char *url, const struct aw_http_field *fields, size_t count,
                     char **ret_url, struct aw_error *reterr)
{
    size_t size = strcspn(url, "#");
    const char *query = memchr(url, '?', size);
    bool goes_on = query != NULL && query + 1 < url + size && url[size - 1] != '&';
    const char *join = count == 0 ? "" : query == NULL ? "?" : goes_on ? "&" : "";
    char *start = malloc(size + 2);
    if (start == NULL)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "no memory for a URL");
    char *end = put(put(start, url, size), join, strlen(join));
    int result = build(start, (size_t)(end - start), fields, count, url + size, ret_url, reterr);
    free(start);
    return result;
}

int aw_http_post_form(struct aw_http_client *client, const char *url,
                      const struct aw_http_field *fields, size_t count,
                      struct aw_http_response *ret_response, struct aw_error *reterr)
{
    char *form = NULL;
    int result = aw_http_encode(fields, count, &form, reterr);
    if (result < 0)
        return result;
    result = aw_http_post(client, url, "application/x-www-form-urlencoded", form, strlen(form),
                          ret_response, reterr);
    free(form);
    return result;
}
