// The library itself: its version, the last error, handles of every kind, texts, threads.

import CHeader
import CPUEngine
import Martlet
import ModelFiles

private nonisolated(unsafe) let versionChars = chars(Martlet.version)

@_cdecl("mlt_version")
public func mlt_version() -> UnsafePointer<CChar>? { UnsafePointer(versionChars) }

@_cdecl("mlt_last_error")
public func mlt_last_error() -> UnsafePointer<CChar>? { martlet_kept_message() }

@_cdecl("mlt_last_status")
public func mlt_last_status() -> mlt_status { martlet_kept_status() }

@_cdecl("mlt_release")
public func mlt_release(_ handle: UnsafeMutableRawPointer?) -> mlt_status {
    status { try handles.release(handle.map(OpaquePointer.init)) }
}

@_cdecl("mlt_text_chars")
public func mlt_text_chars(_ text: OpaquePointer?) -> UnsafePointer<CChar>? {
    var result: UnsafePointer<CChar>?
    _ = status { result = try handles.use(text, as: TextObject.self) { UnsafePointer($0.chars) } }
    return result
}

@_cdecl("mlt_ops")
public func mlt_ops(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> mlt_status {
    status { try give(out, opsAnswer()) }
}

@_cdecl("mlt_devices")
public func mlt_devices(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> mlt_status {
    status { try give(out, devicesAnswer()) }
}

@_cdecl("mlt_info")
public func mlt_info(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> mlt_status {
    status { try give(out, infoAnswer()) }
}

@_cdecl("mlt_set_num_threads")
public func mlt_set_num_threads(_ count: Int32) -> mlt_status { status { try Threads.set(Int(count)) } }

@_cdecl("mlt_num_threads")
public func mlt_num_threads(_ out: UnsafeMutablePointer<Int32>?) -> mlt_status {
    status { try place(out).pointee = Int32(clamping: Threads.count) }
}

/// A text for the caller, in memory that lives as long as its handle.
final class TextObject: Handled {
    static let kind = HandleKind.text
    nonisolated(unsafe) let chars: UnsafeMutablePointer<CChar>

    init(_ text: String) { chars = CInterface.chars(text) }

    deinit { chars.deallocate() }
}

/// A copy of a text in C's form.
func chars(_ text: String) -> UnsafeMutablePointer<CChar> {
    let utf8 = text.utf8
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: utf8.count + 1)
    for (index, byte) in utf8.enumerated() { copy[index] = CChar(bitPattern: byte) }
    copy[utf8.count] = 0
    return copy
}

private func give(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ answer: @autoclosure () throws -> JSON) throws {
    try give(out) { TextObject(try answer().description) }
}
