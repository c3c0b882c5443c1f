/* SPDX-License-Identifier: Apache-2.0 —
 * nnp.c: tells its effective user; set-uid in an image, it shows no_new_privs. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    printf("Effective uid: %d\n", (int)geteuid());
    return 0;
}
