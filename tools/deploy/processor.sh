#!/bin/sh
# Full speed, and interrupts on core 0. Runs at each boot (neurorack-tune.service), because neither lasts.
for governor in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
    [ -w "$governor" ] && echo performance > "$governor"
done
for irq in /proc/irq/[0-9]*/smp_affinity_list; do
    echo 0 > "$irq" 2>/dev/null      # some belong to one core and stay
done
exit 0
