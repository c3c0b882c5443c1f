// SPDX-License-Identifier: Apache-2.0

// driver puts load on one CRI socket and prints one JSON object with what it measured, all times in milliseconds.
// tests/bench/run.py starts it; each subcommand is one row, or a part of one, of the table in docs/benchmarks.md.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const callTimeout = 120 * time.Second

type driver struct {
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
	parent  string // the pods' cgroup_parent, "" for the runtime's own choice
	image   string
	logs    string // the pods' log_directory is a folder of it
}

func (d *driver) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), callTimeout)
}

type command struct {
	count, workers int
	idle           time.Duration
	script         string
	target         string
}

type result map[string]any

var commands = map[string]func(*driver, command) (result, error){
	"wait":  waitReady,
	"lives": lives,
	"crowd": crowd,
	"make":  makePods,
	"exec":  execs,
	"stats": stats,
	"pull":  pull,
	"rmi":   removeImage,
	"clean": clean,
}

func connect(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
}

func run() error {
	var d driver
	var c command
	socket := flag.String("socket", "", "the CRI socket")
	flag.StringVar(&d.parent, "cgroup-parent", "", "cgroup_parent of the pods")
	flag.StringVar(&d.image, "image", "docker.io/library/busybox:latest", "image of the containers, or the one to pull")
	flag.StringVar(&d.logs, "logs", "", "folder for the containers' logs")
	flag.IntVar(&c.count, "n", 1, "how many")
	flag.IntVar(&c.workers, "workers", 1, "how many at a time")
	flag.DurationVar(&c.idle, "idle", 0, "idleness before each")
	flag.StringVar(&c.script, "script", "exec sleep 100000", "what /bin/sh runs in the containers")
	flag.StringVar(&c.target, "target", "", "a container's id")
	flag.Parse()
	verb, known := commands[flag.Arg(0)]
	if !known || *socket == "" {
		return fmt.Errorf("usage: driver -socket PATH [options] wait|lives|crowd|make|exec|stats|pull|rmi|clean")
	}
	conn, err := connect(*socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	d.runtime, d.images = cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)
	out, err := verb(&d, c)
	if err != nil {
		return fmt.Errorf("%s: %w", flag.Arg(0), err)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
