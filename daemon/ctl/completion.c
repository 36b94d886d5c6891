/* completion.c - see completion.h. Commands, their options, the words of --state and --format, and
 * file names where an option takes a path. */
#include "ctl/completion.h"

#include <string.h>

static const char states[] = "scheduled blocked ready running done dead cancelled uncertain";

static bool takes_value(const struct option *option)
{
    return option->kind != OPTION_FLAG && option->kind != OPTION_DURATION_OPTIONAL;
}

static bool takes_path(const struct option *option)
{
    return option->value_name != NULL && (strcmp(option->value_name, "PATH") == 0 ||
                                          strcmp(option->value_name, "FILE") == 0);
}

/* The words an option's value may be, NULL: anything. */
static const char *words_of(const struct option *option)
{
    if (strcmp(option->name, "state") == 0)
        return states;
    return strcmp(option->name, "format") == 0 ? "rows json" : NULL;
}

static void print_names(const struct option *options, FILE *out)
{
    for (; options->name != NULL; options++)
        fprintf(out, " --%s", options->name);
}

/* --- bash ------------------------------------------------------------------------------ */

/* `case` patterns of the options whose value is of one kind, "--a|--b"; false: there are none. */
static bool print_pattern(const struct completion *completion,
                          bool (*wanted)(const struct option *), FILE *out)
{
    bool any = false;
    for (size_t index = 0; index <= completion->command_count; index++) {
        const struct option *option = index < completion->command_count
                                          ? completion->commands[index]->options
                                          : completion->global_options;
        for (; option->name != NULL; option++)
            if (wanted(option)) {
                fprintf(out, "%s--%s", any ? "|" : "    ", option->name);
                any = true;
            }
    }
    return any;
}

static bool is_plain(const struct option *option)
{
    return takes_value(option) && !takes_path(option) && words_of(option) == NULL;
}

static void print_bash_values(const struct completion *completion, FILE *out)
{
    fputs("    case $previous in\n", out);
    fprintf(out, "    --state) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", states);
    fputs("    --format) COMPREPLY=($(compgen -W 'rows json' -- \"$word\")); return ;;\n", out);
    if (print_pattern(completion, takes_path, out))
        fputs(") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", out);
    if (print_pattern(completion, is_plain, out))
        fputs(") return ;;\n", out);
    fputs("    esac\n", out);
}

void completion_bash(const struct completion *completion, FILE *out)
{
    fputs("# bash completion for awaitctl, printed by: awaitctl completion bash\n"
          "_awaitctl()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local index command='' options\n"
          "    for ((index = 1; index < COMP_CWORD; index++)); do\n"
          "        case ${COMP_WORDS[index]} in\n        ", out);
    for (size_t index = 0; index < completion->command_count; index++)
        fprintf(out, "%s%s", index > 0 ? "|" : "", completion->commands[index]->name);
    fputs(")\n            command=${COMP_WORDS[index]}; break ;;\n        esac\n    done\n", out);
    print_bash_values(completion, out);
    fputs("    case $command in\n    '') options='", out);
    for (size_t index = 0; index < completion->command_count; index++)
        fprintf(out, "%s ", completion->commands[index]->name);
    fputs("help completion' ;;\n", out);
    for (size_t index = 0; index < completion->command_count; index++) {
        fprintf(out, "    %s) options='", completion->commands[index]->name);
        print_names(completion->commands[index]->options, out);
        fputs("' ;;\n", out);
    }
    fputs("    esac\n    if [[ -z $command || $word == -* ]]; then\n        options+='", out);
    print_names(completion->global_options, out);
    fputs("'\n        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n    else\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n    fi\n}\n"
          "complete -F _awaitctl awaitctl\n", out);
}

/* --- zsh ------------------------------------------------------------------------------- */

/* Inside '...' and _arguments' own brackets and colons. */
static void print_zsh_text(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text) != NULL)
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void print_zsh_options(const struct option *option, FILE *out)
{
    for (; option->name != NULL; option++) {
        fprintf(out, " \\\n        '--%s", option->name);
        if (option->kind == OPTION_DURATION_OPTIONAL)
            fputs("=-", out);
        fputc('[', out);
        print_zsh_text(option->help, out);
        fputc(']', out);
        if (takes_value(option) || option->kind == OPTION_DURATION_OPTIONAL) {
            fputs(takes_value(option) ? ":" : "::", out);
            print_zsh_text(option->value_name, out);
            fputc(':', out);
            if (words_of(option) != NULL)
                fprintf(out, "(%s)", words_of(option));
            else if (takes_path(option))
                fputs("_files", out);
        }
        fputc('\'', out);
    }
}

void completion_zsh(const struct completion *completion, FILE *out)
{
    fputs("#compdef awaitctl\n# zsh completion for awaitctl, printed by: awaitctl completion zsh\n"
          "_awaitctl()\n{\n    local -a commands\n    local state line\n    commands=(\n", out);
    for (size_t index = 0; index < completion->command_count; index++) {
        fprintf(out, "        '%s:", completion->commands[index]->name);
        print_zsh_text(completion->commands[index]->summary, out);
        fputs("'\n", out);
    }
    fputs("    )\n    _arguments -C", out);
    print_zsh_options(completion->global_options, out);
    fputs(" \\\n        '1: :->command' '*:: :->argument'\n"
          "    case $state in\n    command) _describe command commands ;;\n"
          "    argument)\n        case $line[1] in\n", out);
    for (size_t index = 0; index < completion->command_count; index++) {
        fprintf(out, "        %s) _arguments", completion->commands[index]->name);
        print_zsh_options(completion->commands[index]->options, out);
        print_zsh_options(completion->global_options, out);
        fputs(" \\\n        '*: :_files' ;;\n", out);
    }
    fputs("        esac ;;\n    esac\n}\n_awaitctl \"$@\"\n", out);
}
