// tasks.go - what goroutines cost on one processor; see tasks.c for what is measured.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const yielders = 100

func perItem(began time.Time, count int) {
	fmt.Printf("%.2f\n", float64(time.Since(began).Nanoseconds())/float64(count))
}

func benchSwitch(count int) {
	var group sync.WaitGroup
	each := count / yielders
	began := time.Now()
	for i := 0; i < yielders; i++ {
		group.Add(1)
		go func() {
			for i := 0; i < each; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	perItem(began, each*yielders)
}

func benchHandover(count int) {
	there, back := make(chan bool), make(chan bool)
	go func() {
		for range there {
			back <- true
		}
	}()
	began := time.Now()
	for i := 0; i < count/2; i++ {
		there <- true
		<-back
	}
	perItem(began, count)
}

func benchSpawn(count int) {
	done := make(chan int)
	began := time.Now()
	for i := 0; i < count; i++ {
		go func() { done <- 0 }()
		<-done
	}
	perItem(began, count)
}

func benchSleep(count int) {
	var group sync.WaitGroup
	began := time.Now()
	group.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			time.Sleep(time.Second)
			group.Done()
		}()
	}
	group.Wait()
	fmt.Printf("%.4f\n", time.Since(began).Seconds())
}

func residentBytes() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}

func benchResident(count int) {
	before := residentBytes()
	for i := 0; i < count; i++ {
		go time.Sleep(time.Hour)
	}
	time.Sleep(time.Second)
	fmt.Printf("%.1f\n", float64(residentBytes()-before)/float64(count))
}

func main() {
	every := map[string]func(int){"switch": benchSwitch, "handover": benchHandover,
		"spawn": benchSpawn, "sleep": benchSleep, "resident": benchResident}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	every[os.Args[1]](count)
}
