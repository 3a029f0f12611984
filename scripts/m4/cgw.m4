dnl SPDX-License-Identifier: Apache-2.0
dnl cgw.m4 - which flags the compiler and the linker take.

dnl CGW_TRY_CFLAGS(FLAGS): append each flag the C compiler takes without a word to CGW_CFLAGS.
AC_DEFUN([CGW_TRY_CFLAGS], [
  for cgw_flag in $1; do
    cgw_save="$CFLAGS"; CFLAGS="$CFLAGS -Werror $cgw_flag"
    AC_MSG_CHECKING([whether $CC takes $cgw_flag])
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes]); CGW_CFLAGS="$CGW_CFLAGS $cgw_flag"], [AC_MSG_RESULT([no])])
    CFLAGS="$cgw_save"
  done])

dnl CGW_TRY_FORTIFY: the C library warns when asked to fortify what is not optimised, so ask with a header.
AC_DEFUN([CGW_TRY_FORTIFY], [
  AC_MSG_CHECKING([whether to fortify])
  cgw_save="$CFLAGS"; CFLAGS="$CFLAGS -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [])],
    [AC_MSG_RESULT([yes]); CGW_CFLAGS="$CGW_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"],
    [AC_MSG_RESULT([no: not optimised])])
  CFLAGS="$cgw_save"])

dnl CGW_TRY_LDFLAGS(FLAGS): append each flag the linker takes to CGW_LDFLAGS.
AC_DEFUN([CGW_TRY_LDFLAGS], [
  for cgw_flag in $1; do
    cgw_save="$LDFLAGS"; LDFLAGS="$LDFLAGS $cgw_flag"
    AC_MSG_CHECKING([whether the linker takes $cgw_flag])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes]); CGW_LDFLAGS="$CGW_LDFLAGS $cgw_flag"], [AC_MSG_RESULT([no])])
    LDFLAGS="$cgw_save"
  done])
