// Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as
// 1, 2, 3; SC 2011). A word is a pure function of counter and key: no state, so any word can be replayed.
#pragma once

struct PhiloxWords {
    unsigned word[4];
};

__device__ __forceinline__ PhiloxWords philox(unsigned c0, unsigned c1, unsigned c2, unsigned c3, unsigned key0,
                                              unsigned key1) {
    for (int round = 0; round < 10; ++round) {
        const unsigned long long left = 0xD2511F53ull * c0;
        const unsigned long long right = 0xCD9E8D57ull * c2;
        c0 = static_cast<unsigned>(right >> 32) ^ c1 ^ key0;
        c1 = static_cast<unsigned>(right);
        c2 = static_cast<unsigned>(left >> 32) ^ c3 ^ key1;
        c3 = static_cast<unsigned>(left);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return PhiloxWords{{c0, c1, c2, c3}};
}
