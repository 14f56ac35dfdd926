#!/usr/bin/env bash
# A SLURM of one node on this machine, without systemd, for tests/cluster/test_slurm.py. Needs root, and Debian's slurm-wlm and munge.
#   slurm.sh FOLDER CORES    starts munged, slurmctld and slurmd, says "up", and ends them, and what runs under them, when its stdin
#                            is closed: by Ctrl-D, or by the end of the process that started it. `. FOLDER/env` reaches them.
# Cores and memory are counted, not enforced: a cgroup v1 machine has nothing to enforce them with.
set -euo pipefail
export PATH="$PATH:/usr/sbin"
folder=$1 cores=$2 host=$(hostname -s)

up() {
	mkdir -p "$folder"/{state,spool,bin}
	getent hosts "$host" > /dev/null || echo "127.0.0.1 $host" >> /etc/hosts
	cat > "$folder/slurm.conf" <<-END
		ClusterName=memcap
		SlurmctldHost=$host(127.0.0.1)
		SlurmUser=root
		SlurmctldPort=16817
		SlurmdPort=16818
		StateSaveLocation=$folder/state
		SlurmdSpoolDir=$folder/spool
		SlurmctldPidFile=$folder/slurmctld.pid
		SlurmdPidFile=$folder/slurmd.pid
		SlurmctldLogFile=$folder/slurmctld.log
		SlurmdLogFile=$folder/slurmd.log
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core
		ReturnToService=2
		KillWait=10
		MailProg=/bin/true
		SlurmdParameters=config_overrides
		SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1
		NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores Sockets=1 CoresPerSocket=$cores ThreadsPerCore=1 RealMemory=4096 State=UNKNOWN
		PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
	END
	echo "CgroupPlugin=disabled" > "$folder/cgroup.conf"
	# submitit asks `sacct`, which would need a database: squeue knows ended jobs for a while
	cat > "$folder/bin/sacct" <<-'END'
		#!/usr/bin/env bash
		jobs=
		while [ $# -gt 0 ]; do
			[ "$1" = -j ] && jobs+=,$2
			shift
		done
		echo "JobID|State|NodeList"
		exec squeue --array --noheader --states=all --format='%i|%T|%N' --jobs="${jobs#,}"
	END
	chmod +x "$folder/bin/sacct"
	printf 'export SLURM_CONF=%s PATH=%s:$PATH\n' "$folder/slurm.conf" "$folder/bin" > "$folder/env"
	if ! munge --no-input &> /dev/null; then
		install -d -m 755 /run/munge
		munged --force --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" # as root: whose folders they are is no matter
	fi
	. "$folder/env"
	slurmctld -c
	slurmd -N "$host"
	for _ in $(seq 100); do
		[ "$(sinfo --noheader --format=%t 2> /dev/null)" = idle ] && return
		sleep .1
	done
	cat "$folder"/slurm*.log >&2
	return 1
}

down() {
	scancel --user=root || true
	sleep 1
	for pid in "$folder"/{slurmd,slurmctld,munged}.pid; do
		[ ! -s "$pid" ] || kill "$(cat "$pid")" || true
	done
}

trap : HUP INT TERM # ends `cat`, then this
trap down EXIT
up < /dev/null
echo up
cat > /dev/null
