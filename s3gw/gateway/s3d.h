/* SPDX-License-Identifier: Apache-2.0 — s3d.h: the daemon gridlet-s3. */
#pragma once

int s3d_main(int argc, char **argv);
