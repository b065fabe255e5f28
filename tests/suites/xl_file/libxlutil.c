/*
 * Reads configuration files as xl does, by xl's own library. On stdin comes a
 * file after its length, 4 bytes in the host's order, again and again; for each
 * goes a line to stdout: "error", or the values of the names of the command
 * line, each after a space: "-" for none, "t" and hexadecimal digits for a
 * text, "[" values "]" for a list.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <libxlutil.h>

/* The one thing of libxl that the parser refers to. */
void libxl_defbool_set(libxl_defbool *to, bool value)
{
    (void)to;
    (void)value;
    abort();
}

static void show(const XLU_Config *config, XLU_ConfigValue *value)
{
    XLU_ConfigList *list;
    XLU_ConfigValue *inner;
    char *text;
    int i;

    if (xlu_cfg_value_type(value) == XLU_STRING) {
        xlu_cfg_value_get_string(config, value, &text, 1);
        putchar('t');
        for (; *text; text++)
            printf("%02x", (unsigned char)*text);
        return;
    }
    xlu_cfg_value_get_list(config, value, &list, 1);
    putchar('[');
    for (i = 0; (inner = xlu_cfg_get_listitem2(list, i)); i++)
        show(config, inner);
    putchar(']');
}

static void show_name(const XLU_Config *config, const char *name)
{
    XLU_ConfigList *list;
    const char *text;
    int i, entries;

    putchar(' ');
    if (!xlu_cfg_get_list(config, name, &list, &entries, 1)) {
        putchar('[');
        for (i = 0; i < entries; i++)
            show(config, xlu_cfg_get_listitem2(list, i));
        putchar(']');
    } else if (!xlu_cfg_get_string(config, name, &text, 1)) {
        putchar('t');
        for (; *text; text++)
            printf("%02x", (unsigned char)*text);
    } else {
        putchar('-');
    }
}

int main(int count, char **names)
{
    FILE *report = fopen("/dev/null", "w");
    uint32_t length;
    int i;

    while (report && fread(&length, sizeof(length), 1, stdin) == 1) {
        XLU_Config *config = xlu_cfg_init(report, "stdin");
        char *data = malloc(length + 1);

        if (!config || !data || fread(data, 1, length, stdin) != length)
            return 1;
        if (xlu_cfg_readdata(config, data, length)) {
            fputs("error", stdout);
        } else {
            for (i = 1; i < count; i++)
                show_name(config, names[i]);
        }
        putchar('\n');
        fflush(stdout);
        xlu_cfg_destroy(config);
        free(data);
    }
    return report ? 0 : 1;
}
