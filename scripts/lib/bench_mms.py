# SPDX-License-Identifier: Apache-2.0
"""bench_mms.py - the row of scripts/bench about MMS: the plugin alone against mmscsim, small shared media, no database."""
import os
import re
import subprocess

import stack


def mms(opts):
    """tests/stress/bench_mms: as fast as it goes, then at the rate that must be held."""
    env = dict(os.environ, CAMPGW_MMSCSIM=os.path.join(opts.build, "tests/sim/mmscsim"))
    command = [os.path.join(opts.build, "tests/stress/bench_mms"), str(opts.messages), str(opts.rate), str(opts.seconds)]
    if not os.path.exists(command[0]):
        raise stack.StackError("%s is not there: built without channel_mms" % command[0])
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=env)
    figures = {key: float(value) for key, value in re.findall(r"^(mms_\w+) ([0-9.]+)$", done.stdout, re.M)}
    if done.returncode or not figures:
        raise stack.StackError("tests/stress/bench_mms ended with %d: %s" % (done.returncode, done.stderr[-300:]))
    return {key: round(value) for key, value in figures.items()}
