// Makes a TCP socket and a netlink socket, and no other.
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    close(socket(AF_INET, SOCK_STREAM, 0));
    close(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    return 0;
}
