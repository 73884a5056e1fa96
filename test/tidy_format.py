"""The format of the lit suite: a shell test that leaves nothing behind once it has passed.

The suite's programs and tensors come to gigabytes, most of all under sanitizers. What a
failed test wrote stays for whoever looks into it; `lit --param keep=1` keeps all of it.
"""

import glob
import os
import shutil

import lit.formats
import lit.Test
import lit.TestRunner


class TidyShTest(lit.formats.ShTest):
    """lit's own format; removes %t and what begins with its name after a pass."""

    def execute(self, test, lit_config):
        result = super().execute(test, lit_config)
        if result.code is lit.Test.PASS and "keep" not in lit_config.params:
            _, base = lit.TestRunner.getTempPaths(test)
            for path in glob.glob(glob.escape(base) + ".tmp*"):
                remove(path)
        return result


def remove(path):
    """Removes a file, or a folder with folders in it that may not be written."""
    if not os.path.isdir(path) or os.path.islink(path):
        os.remove(path)
        return
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)
    shutil.rmtree(path)
