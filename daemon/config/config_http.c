/* config_http.c - what a target of type http must have, and must not. */
#include "config/config_builder.h"
#include "config/http_rules.h"

#include <errno.h>

static int refuse_foreign(struct config_builder *builder, const struct section *section)
{
    static const char *const foreign[] = {"path",   "pipeline",  "coalesce",
                                          "leases", "lease_max", "receipt_keep"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (section->set[config_key_find(SECTION_TARGET, foreign[i])].file)
            return config_refuse_for_type(builder, section, foreign[i]);
    return 0;
}

static int check_rules(struct config_builder *builder, const struct section *section)
{
    static const char *const keys[] = {"uri", "hosts", "headers"};
    const struct config_target *target = &builder->config.targets[section->index];
    char title[SECTION_TITLE_SIZE];
    char reason[HTTP_RULES_REASON_SIZE];
    enum http_rules_part part;
    struct http_rules rules;
    int result = http_rules_parse(&rules, target->uri, target->http.hosts, target->http.headers,
                                  &part, reason);
    if (result == 0)
        http_rules_free(&rules);
    if (result == 0 && target->http.proxy && aw_http_check_proxy(target->http.proxy, NULL) < 0)
        return config_refuse(builder, config_source_of(section, "proxy"),
                             "proxy in %s must be http://host:port, https://host:port, "
                             "socks5h://host:port or socks4a://host:port",
                             section_title(builder, section, title));
    if (result != -EINVAL)
        return result;
    return config_refuse(builder, config_source_of(section, keys[part]), "%s in %s %s", keys[part],
                         section_title(builder, section, title), reason);
}

int config_check_http(struct config_builder *builder, const struct section *section)
{
    struct config_target *target = &builder->config.targets[section->index];
    char title[SECTION_TITLE_SIZE];
    section_title(builder, section, title);
    target->pipeline = 1;
    int result = refuse_foreign(builder, section);
    if (result < 0)
        return result;
    if (!target->uri && !target->http.hosts)
        return config_refuse(builder, section->first,
                             "%s needs the key 'uri' or 'hosts': which hosts its jobs may call",
                             title);
    if (target->delivery == DELIVERY_EXACTLY_ONCE)
        return config_refuse(builder, config_source_of(section, "delivery"),
                             "delivery in %s cannot be exactly-once: awaitd has nowhere to leave a "
                             "receipt at an HTTP server; let it heed the Idempotency-Key header",
                             title);
    if ((target->password_file || target->credential) && !target->uri)
        return config_refuse(builder, config_source_of(section, target->credential
                                                                    ? "credential"
                                                                    : "password_file"),
                             "%s has a password but no uri: it is only sent to the uri's host",
                             title);
    result = check_rules(builder, section);
    if (result == 0)
        result = config_check_secrets(builder, section);
    return result == 0 && target->uri ? config_warn_password(builder, section) : result;
}
