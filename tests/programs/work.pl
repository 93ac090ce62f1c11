# Files, a child behind a pipe, a signal, a socket pair; prints what came of them.
use strict;
use warnings;
use Socket;

my $directory = $ARGV[0];

open(my $out, '>', "$directory/words") or die "open: $!";
print $out "$_\n" for qw(pear apple fig cherry);
close($out) or die "close: $!";
chmod(0600, "$directory/words") or die "chmod: $!";

open(my $sorted, '-|', 'sort', "$directory/words") or die "sort: $!";
chomp(my @words = <$sorted>);
close($sorted) or die "sort: $?";
print "sorted @words\n";

my $caught = 0;
$SIG{USR1} = sub { $caught++ };
kill('USR1', $$) or die "kill: $!";
print "caught $caught\n";

socketpair(my $left, my $right, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
my $child = fork() // die "fork: $!";
if ($child == 0) {
	close($left);
	syswrite($right, "from the child");
	exit(3);
}
close($right);
sysread($left, my $text, 100);
waitpid($child, 0);
print "child ", $? >> 8, " said $text\n";

rename("$directory/words", "$directory/fruit") or die "rename: $!";
symlink('fruit', "$directory/link") or die "symlink: $!";
print "link to ", readlink("$directory/link"), ", ", -s "$directory/link", " bytes\n";
unlink("$directory/fruit", "$directory/link") == 2 or die "unlink: $!";
