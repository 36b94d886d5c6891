/* http_json.h - JSON over HTTP: values of jansson are sent and come back.
 *
 *     json_t *user = NULL;
 *     result = aw_http_get_json(client, "http://localhost:8000/users/7", &user, &error);
 *     if (result == 0)
 *         puts(json_string_value(json_object_get(user, "name")));
 *     json_decref(user);
 *
 * Not part of <await.h>, since it needs jansson's header: a program that includes it is built with
 * `pkg-config --cflags --libs await jansson`. Others never load that library.
 *
 * To the errors of aw_http_request come, with what is known in error->code:
 *
 *   -EREMOTEIO  "404" ...  the status, when it is not 200 to 299; the message has what was said
 *   -EPROTO     "TYPE"     the response does not say that it is JSON (application/json, text/json,
 *                          application/...+json)
 *   -EBADMSG    "JSON"     it is none: the message has line and column, and what is wrong there. Or
 *                          arrays and objects are inside each other more than 128 deep
 *
 * How large a response may be is said by response_size_max. Texts above 64 KiB and above 2,000
 * values are read and written on a thread, so that the loop goes on: nobody may change a value that
 * is being sent. The calls need 64 KiB of their task's stack. */
#ifndef AWAIT_HTTP_JSON_H
#define AWAIT_HTTP_JSON_H

#include <await/base.h>
#include <await/error.h>
#include <await/http.h>
#include <jansson.h>

#define AW_HTTP_JSON_DEPTH_MAX 128

/* Sends a request that accepts JSON, with `value` as its body unless it is NULL (then `request` may
 * have another one), and gives the response's value: the caller's to json_decref; NULL when the
 * response has no body (204). ret_value may be NULL: the response's body may then be anything.
 * `request` is as for aw_http_request; its headers Accept and Content-Type outrank those of here.
 * ret_response may be NULL, else it is the whole response, all-zero before, also with -EREMOTEIO,
 * "TYPE" and "JSON", and needs aw_http_response_free. -EINVAL "REQUEST": `value` is nested too
 * deeply, holds itself or more than 10,000,000 values, or is beside another body. -ENOENT "FAILED":
 * libcurl or jansson is not installed. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_request_json(struct aw_http_client *client,
                                                          const struct aw_http_request *request,
                                                          const json_t *value,
                                                          struct aw_http_response *ret_response,
                                                          json_t **ret_value,
                                                          struct aw_error *reterr);

/* The same with the usual arguments: *ret_value is the caller's to json_decref; `value` is not
 * kept, and NULL sends no body. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_get_json(struct aw_http_client *client,
                                                      const char *url, json_t **ret_value,
                                                      struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_post_json(struct aw_http_client *client,
                                                       const char *url, const json_t *value,
                                                       json_t **ret_value,
                                                       struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_put_json(struct aw_http_client *client,
                                                      const char *url, const json_t *value,
                                                      json_t **ret_value, struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_patch_json(struct aw_http_client *client,
                                                        const char *url, const json_t *value,
                                                        json_t **ret_value,
                                                        struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_http_delete_json(struct aw_http_client *client,
                                                         const char *url, json_t **ret_value,
                                                         struct aw_error *reterr);

#endif
