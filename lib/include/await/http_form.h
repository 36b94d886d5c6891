/* http_form.h - names and values in a URL's query or a form (application/x-www-form-urlencoded).
 *
 *     const struct aw_http_field fields[] = {{"q", "black & white"}, {"page", "2"}};
 *     result = aw_http_url_with("http://localhost/search", fields, 2, &url, &error);
 *     // http://localhost/search?q=black%20%26%20white&page=2
 *
 * Everything but letters, digits and -._~ is percent-encoded, byte by byte (RFC 3986, section 2.3):
 * a space is %20, which queries and forms both allow. Values are text in UTF-8. */
#ifndef AWAIT_HTTP_FORM_H
#define AWAIT_HTTP_FORM_H

#include <await/base.h>
#include <await/error.h>
#include <await/http.h>

struct aw_http_field {
    const char *name;
    const char *value; /* NULL counts as "" */
};

/* "name=value&name=value", in memory that the caller frees; "" without fields. -EINVAL "REQUEST" (a
 * name is missing or empty), -ENOMEM "FAILED". Never suspends. */
AW_API AW_MUST_CHECK int aw_http_encode(const struct aw_http_field *fields, size_t count,
                                        char **ret_text, struct aw_error *reterr);

/* The URL with these fields added to its query, before its fragment, in memory that the caller
 * frees. Errors as above. Never suspends. */
AW_API AW_MUST_CHECK int aw_http_url_with(const char *url, const struct aw_http_field *fields,
                                          size_t count, char **ret_url, struct aw_error *reterr);

/* Sends the fields as a form with POST. Errors of aw_http_request. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_post_form(struct aw_http_client *client,
                                                       const char *url,
                                                       const struct aw_http_field *fields,
                                                       size_t count,
                                                       struct aw_http_response *ret_response,
                                                       struct aw_error *reterr);

#endif
