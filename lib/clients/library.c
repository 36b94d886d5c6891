/* library.c - see library.h. */
#include "clients/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

/* ISO C has no conversion from void * to a pointer to function; POSIX says they are the same size.
 */
static bool find(void *library, const struct library_function *function)
{
    void *symbol = dlsym(library, function->name);
    memcpy(function->place, &symbol, sizeof symbol);
    return symbol != NULL;
}

int library_load(const char *file, const struct library_function *functions, size_t count,
                 struct aw_error *reterr)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return aw_error_set_code(reterr, -ENOENT, "FAILED", "cannot load a library: %s; install it",
                                 dlerror());
    for (size_t i = 0; i < count; i++) {
        if (find(library, &functions[i]))
            continue;
        (void)dlclose(library);
        return aw_error_set_code(reterr, -ENOENT, "FAILED", "%s has no %s", file,
                                 functions[i].name);
    }
    return 0;
}
