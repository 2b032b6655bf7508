/* Version of the library; kept equal to project(VERSION) by a test of the build. */
#ifndef SPIKEPORT_VERSION_H
#define SPIKEPORT_VERSION_H
#define SPIKEPORT_VERSION_MAJOR 0
#define SPIKEPORT_VERSION_MINOR 1
#define SPIKEPORT_VERSION_PATCH 0
#define SPIKEPORT_VERSION       "0.1.0"
#endif
