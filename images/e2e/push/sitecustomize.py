"""What heat-cfntools 1.4.2 counts on and newer Pythons lost, so that it runs unchanged.

phymem_usage and virtmem_usage went with psutil 3.0; psutil 2 had them as other names of the
functions here. What socat prints was text before Python 3, and is bytes since.
"""
import subprocess

import psutil

psutil.phymem_usage = psutil.virtual_memory
psutil.virtmem_usage = psutil.swap_memory
popen = subprocess.Popen
subprocess.Popen = lambda args, **options: popen(args, text=args[0] == 'socat', **options)
