// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	readyWait  = 30 * time.Second
	readyEvery = 50 * time.Millisecond
)

// waitReady returns when the runtime and its network are ready.
func waitReady(d *driver, _ command) (result, error) {
	ctx, cancel := d.call()
	defer cancel()
	for begin := time.Now(); ; time.Sleep(readyEvery) {
		status, err := d.runtime.Status(ctx, &cri.StatusRequest{})
		ready := err == nil
		for _, condition := range status.GetStatus().GetConditions() {
			ready = ready && (condition.Status || condition.Type == "ContainerdHasNoDeprecationWarnings")
		}
		if ready {
			version, err := d.runtime.Version(ctx, &cri.VersionRequest{})
			return result{"runtime": version.GetRuntimeName(), "version": version.GetRuntimeVersion()}, err
		}
		if time.Since(begin) > readyWait {
			return nil, fmt.Errorf("not ready: %v %v", status.GetStatus().GetConditions(), err)
		}
	}
}

// execs runs `true` in a container.
func execs(d *driver, c command) (result, error) {
	var took []float64
	for range c.count {
		ctx, cancel := d.call()
		begin := time.Now()
		reply, err := d.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: c.target, Cmd: []string{"true"}, Timeout: 20})
		cancel()
		if err == nil && reply.ExitCode != 0 {
			err = fmt.Errorf("exit code %d", reply.ExitCode)
		}
		if err != nil {
			return nil, err
		}
		took = append(took, ms(time.Since(begin)))
	}
	return result{"exec_ms": took}, nil
}

func stats(d *driver, c command) (result, error) {
	var took []float64
	count := 0
	for range c.count {
		ctx, cancel := d.call()
		begin := time.Now()
		reply, err := d.runtime.ListContainerStats(ctx, &cri.ListContainerStatsRequest{})
		cancel()
		if err != nil {
			return nil, err
		}
		took = append(took, ms(time.Since(begin)))
		count = len(reply.Stats)
	}
	return result{"stats_ms": took, "containers": count}, nil
}

func pull(d *driver, _ command) (result, error) {
	ctx, cancel := d.call()
	defer cancel()
	begin := time.Now()
	reply, err := d.images.PullImage(ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: d.image}})
	return result{"pull_ms": ms(time.Since(begin)), "ref": reply.GetImageRef()}, err
}

func removeImage(d *driver, _ command) (result, error) {
	ctx, cancel := d.call()
	defer cancel()
	_, err := d.images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: d.image}})
	return result{}, err
}
