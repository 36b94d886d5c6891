/* fuzz_config.c - any text is a configuration or an error that names its file. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct aw_error error = {0};
    int result = config_parse("f", (const char *)data, size, &config, &error);
    if (result < 0) {
        if (strncmp(error.message, "f:", 2) != 0)
            abort();
        return 0;
    }
    if (config.socket_count == 0 || !config.state || config.state[0] != '/')
        abort();
    for (uint32_t i = 0; i < config.target_count; i++)
        if (!config.targets[i].uri == !config.targets[i].path || config.targets[i].pipeline == 0)
            abort();
    config_free(&config);
    return 0;
}
