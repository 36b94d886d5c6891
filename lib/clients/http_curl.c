/* http_curl.c - see http_curl.h. */
#include "clients/http_curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"

struct http_curl http_curl;

/* ISO C has no conversion from void * to a pointer to function; POSIX says they are the same size.
 */
static bool find(void *library, const char *name, void *place)
{
    void *symbol = dlsym(library, name);
    memcpy(place, &symbol, sizeof symbol);
    return symbol != NULL;
}

int http_curl_load(struct aw_error *reterr)
{
    static void *library;
    if (library)
        return 0;
    void *opened = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    const char *missing = NULL;
    if (!opened)
        return aw_error_set_code(reterr, -ENOENT, "FAILED", "cannot load libcurl: %s; install it",
                                 dlerror());
#define HTTP_CURL_FIND(name)                                                                    \
    if (!find(opened, "curl_" #name, &http_curl.name))                                          \
        missing = "curl_" #name;
    HTTP_CURL_FUNCTIONS(HTTP_CURL_FIND)
#undef HTTP_CURL_FIND
    if (missing) {
        (void)dlclose(opened);
        return aw_error_set_code(reterr, -ENOENT, "FAILED", LIBRARY " has no %s", missing);
    }
    library = opened;
    return 0;
}
