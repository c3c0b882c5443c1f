/* SPDX-License-Identifier: Apache-2.0 —
 * xattrs.c: prints `NAME=HEX` for each extended attribute of the files that it is given. */
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/xattr.h>

static void print_value(const char *path, const char *name)
{
    unsigned char value[4096];
    ssize_t length = lgetxattr(path, name, value, sizeof value);
    printf("%s=", name);
    for (ssize_t i = 0; i < length; i++)
        printf("%02x", value[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char names[65536];
        ssize_t length = llistxattr(argv[i], names, sizeof names);
        if (length < 0) {
            perror(argv[i]);
            return 1;
        }
        for (char *name = names; name < names + length; name += strlen(name) + 1)
            print_value(argv[i], name);
    }
    return 0;
}
