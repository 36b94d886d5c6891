/* copy_file.c - copies a file with libawait, durably: copy_file FROM TO. Prints the seconds. */
#include <await.h>

#include <stdio.h>

static int copy(void *argument)
{
    char **paths = argument;
    uint64_t began_ns = aw_now_ns();
    int result = aw_copy_file(paths[1], paths[2]);
    printf("%.4f\n", (double)(aw_now_ns() - began_ns) / 1e9);
    return result;
}

int main(int count, char **arguments)
{
    int result = count == 3 ? aw_run(copy, arguments) : -1;
    if (result < 0)
        fprintf(stderr, "copy_file: %s\n", aw_error_text(result));
    return result < 0 ? 1 : 0;
}
