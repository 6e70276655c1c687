// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Those structs of egret/abi.h that the programs only use inside functions: clang keeps no BTF of
 * them in the built object. Here they are globals, so that test_abi sees how the BPF side lays
 * them out. Never loaded.
 */
#include <egret/abi.h>

struct eg_event abi_event;
struct eg_event_named abi_event_named;
struct eg_question abi_question;
struct eg_lesson abi_lesson;
struct eg_reaping abi_reaping;
