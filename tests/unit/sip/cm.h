/* cmocka wants these before it. */
#ifndef TEST_SIP_CM_H
#define TEST_SIP_CM_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#endif
