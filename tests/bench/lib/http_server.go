// http_server.go - what the HTTP clients fetch: 1 KiB for every path; prints its port.
package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
)

func main() {
	body := bytes.Repeat([]byte("x"), 1024)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(body)
	})))
}
