/* http_curl.c - see http_curl.h. */
#include "clients/http_curl.h"
#include "clients/library.h"

struct http_curl http_curl;

int http_curl_load(struct aw_error *reterr)
{
#define HTTP_CURL_PLACE(name) {"curl_" #name, &http_curl.name},
    static const struct library_function functions[] = {HTTP_CURL_FUNCTIONS(HTTP_CURL_PLACE)};
#undef HTTP_CURL_PLACE
    static bool loaded;
    if (loaded)
        return 0;
    int result = library_load("libcurl.so.4", functions, sizeof functions / sizeof functions[0],
                              reterr);
    loaded = result == 0;
    return result;
}
