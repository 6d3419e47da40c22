/* The partitioner against the vectors of the Java client's own test (org.apache.kafka.common.utils.UtilsTest.testMurmur2). */
#include "kafka/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *key, int32_t murmur2)
{
    /* A prime below 2^31, so that the whole positive hash shows. */
    assert_int_equal(kafka_partition_of(key, strlen(key), 2147483647), (murmur2 & 0x7fffffff) % 2147483647);
}

static void vectors_of_the_java_client(void **state)
{
    (void)state;
    expect("21", -973932308);
    expect("foobar", -790332482);
    expect("a-little-bit-long-string", -985981536);
    expect("a-little-bit-longer-string", -1486304829);
    expect("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971);
    expect("abc", 479470107);
}

static void every_length_of_tail_and_the_range(void **state)
{
    (void)state;
    for (size_t len = 0; len < 17; len++) {
        int32_t partition = kafka_partition_of("host-0123456789abc", len, 512);
        assert_in_range(partition, 0, 511);
        assert_int_equal(kafka_partition_of("host-0123456789abc", len, 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_java_client),
        cmocka_unit_test(every_length_of_tail_and_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
