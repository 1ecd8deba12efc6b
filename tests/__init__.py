"""Tests; a package, so that no test module can shadow an installed one."""
